"""
A house of rooms with lamps, written as functions::

    twistd -n coap --resources examples.router
    txcoap put coap://localhost/rooms/hall/lamps/1 on
    txcoap observe coap://localhost/rooms/hall/lamps/1
"""

import json
from typing import Any

from txcoap import Code, Response, Router
from txcoap.errors import BadRequest


class House:
    """Its lamps, by room and number."""

    app = Router()

    def __init__(self, **rooms: int) -> None:
        self.rooms = {name: [False] * count for name, count in rooms.items()}

    @app.route("/rooms", contentFormat="application/json", attributes={"rt": "rooms"})
    def list(self, request: Any) -> bytes:
        return json.dumps({name: len(lamps) for name, lamps in self.rooms.items()}).encode()

    with app.subroute("/rooms/<room>/lamps/<int:number>") as lamps:

        @lamps.route("/", observable=True)
        def show(self, request: Any, room: str, number: int) -> str:
            return "on" if self.rooms[room][number] else "off"

        @lamps.route("/", methods=["PUT"])
        def switch(self, request: Any, room: str, number: int) -> None:
            if request.text() not in ("on", "off"):
                raise BadRequest("on or off")
            self.rooms[room][number] = request.text() == "on"
            self.app.notify(("rooms", room, "lamps", str(number)))

    @app.handleErrors(LookupError)
    def lacking(self, request: Any, failure: Any) -> Response:
        return Response(Code.NOT_FOUND, b"there is no such room or lamp")


root = House(hall=2, attic=1).app
