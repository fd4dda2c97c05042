// node-coap as a forward proxy. Usage: node node_proxy.js HOST PORT
'use strict'

const coap = require('coap')

const [host, port] = process.argv.slice(2)
const server = coap.createServer({ type: host.includes(':') ? 'udp6' : 'udp4', proxy: true }, (request, response) => {
  response.code = '4.04'
  response.end()
})
server.listen(Number(port), host, () => console.log('ready'))
process.stdin.on('end', () => process.exit(0)).resume()
