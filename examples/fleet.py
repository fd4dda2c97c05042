"""
A fleet of a thousand devices on a bad network, in memory and in simulated time: how long does it take until
they have answered, the more datagrams are lost? As text, and with matplotlib as a picture::

    python -m examples.fleet
    python -m examples.fleet 1000 fleet.png
"""

import sys

from txcoap import Request, Resource, Site
from txcoap.errors import RequestError
from txcoap.testing import MemoryNetwork


class Device(Resource):
    def render_GET(self, request: Request) -> str:
        return "on"


def measure(devices: int, loss: float, seed: int = 1) -> list[float]:
    """All are asked at once; after how many seconds who answered did, in order. It follows from the seed."""
    network = MemoryNetwork(seed=seed, loss=loss, latency=0.1)
    agent = network.agent()
    times: list[float] = []
    for number in range(devices):
        # RFC 2544 keeps these addresses for measurements.
        port = network.listen(Site(Device()), f"198.18.{number // 250}.{number % 250 + 1}")
        asking = agent.get(f"coap://{port.address[0]}/")
        asking.addCallback(lambda response: times.append(network.clock.seconds()))
        asking.addErrback(lambda failure: failure.trap(RequestError))
    network.advance(100)
    network.close()
    return times


def draw(results: dict[float, list[float]], devices: int, path: str) -> None:
    from matplotlib.figure import Figure

    axes = (figure := Figure(layout="constrained")).subplots()
    for loss, times in results.items():
        axes.step(times, [100 * (at + 1) / devices for at in range(len(times))], label=f"{loss:.0%} lost")
    axes.set(xlabel="seconds", ylabel="% of the devices have answered", xscale="log", ylim=(0, 101))
    axes.legend()
    figure.savefig(path)


def main(count: str = "1000", path: str = "") -> None:
    devices = int(count)
    results = {loss: measure(devices, loss) for loss in (0.0, 0.05, 0.1, 0.2, 0.3)}
    print("lost  answered   half after   9 of 10 after")
    for loss, times in results.items():
        half, most = ((times or [0.0])[len(times) * tenths // 10] for tenths in (5, 9))
        print(f"{loss:4.0%} {len(times):9} {half:9.1f} s {most:12.1f} s {'█' * round(most)}")
    if path:
        draw(results, devices, path)


if __name__ == "__main__":
    main(*sys.argv[1:])
