"""
What CoAP does, without sockets, clocks or Twisted: bytes and the time go in; events, bytes and the next
deadline come out.

The machines of one socket stand on each other::

       requests to serve, responses, failures            responses, requests, cancellations
                        ^                                               |
                        |                                               v
    exchanges   which response belongs to which request; what cannot be understood
                (on requesting, what we ask, and submissions, in which messages; beside it transfers, the
                bodies that peers send and fetch, notifying, who observes, and groups, our requests by
                multicast)
                        ^                                               |
                        |                                               v
    messaging   what comes: requests, responses, acknowledgements; and by replying, how requests are
                answered  (on duplicates, waiting, separate)
                        ^                                               |
                        |                                               v
    transmissions   what goes: retransmission, IDs, whose turn it is  (on peers, deadlines)
                        ^                                               |
                        |                                               v
    datagrams   one message to and from bytes  (on optionlist)

Two more are for whoever asks, one for each request or relation: L{txcoap.sansio.fetching}, a request and a
response with bodies of any length, and L{txcoap.sansio.observations}, which notification is news.

Whoever drives them calls, on L{Exchanges<txcoap.sansio.exchanges.Exchanges>}:

  - C{receiveDatagram(data, peer, local, now)} with what came, and C{receiveUnreachable} with what the
    network returned: each reports what happened, if anything did; C{receiveGroupDatagram} with what came
    by multicast;
  - C{respond}, C{request}, C{requestGroup}, C{ping}, C{cancel} with what is wanted;
  - C{datagramsToSend()} after every call, to send what it gives;
  - C{next()} for the time at which C{expire(now)} is to be called; it may change after every call.

Time is in seconds, on any clock that does not run backwards; peers and local addresses are whatever the
transport uses, as long as it can be hashed. Chance comes in as a C{random.Random}.
"""
