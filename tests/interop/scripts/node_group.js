// node-coap in a multicast group.
// Usage: node node_group.js serve GROUP INTERFACE-ADDRESS PORT NAME
//        node node_group.js ask GROUP PORT PATH MILLISECONDS
// The server has its name at /name and more than a block at /large, and prints "ready" when it listens. The client
// prints a line of JSON for each response. Both end with their standard input, the client also when its time is over.
'use strict'

const coap = require('coap')

const [mode, group, ...rest] = process.argv.slice(2)

if (mode === 'serve') {
  const [address, port, name] = rest
  const server = coap.createServer({
    type: group.includes(':') ? 'udp6' : 'udp4',
    multicastAddress: group,
    multicastInterface: address
  }, (request, response) => {
    if (request.url === '/name') response.end(name)
    else if (request.url === '/large') response.end(Buffer.alloc(3000, 'n'))
    else {
      response.code = '4.04'
      response.end()
    }
  })
  server.listen(Number(port), () => console.log('ready'))
} else {
  const [port, pathname, wait] = rest
  const request = coap.request({
    hostname: group, port: Number(port), pathname, multicast: true, multicastTimeout: Number(wait)
  })
  request.on('response', (response) => {
    console.log(JSON.stringify({
      code: response.code, from: response.rsinfo.address, size: response.payload.length,
      payload: response.payload.toString().slice(0, 20)
    }))
  })
  request.end()
  setTimeout(() => process.exit(0), Number(wait))
}
process.stdin.on('end', () => process.exit(0)).resume()
