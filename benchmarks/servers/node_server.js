// node-coap with the resources of benchmarks/server.py, and /store, which keeps what is put. NODE_PATH must name the node_modules that has it.
// Usage: node node_server.js PORT
const coap = require('coap')

const large = Buffer.from(Array.from({ length: 65536 }, (_, i) => i % 251))
let stored = Buffer.alloc(0)
let value = Buffer.alloc(0)
const observers = new Set()

const greet = async () => 'Hello, world!'

const server = coap.createServer((request, response) => {
  if (request.url === '/hello') {
    response.setOption('Content-Format', 'text/plain')
    response.end('Hello, world!')
  } else if (request.url === '/await') {
    greet().then((text) => {
      response.setOption('Content-Format', 'text/plain')
      response.end(text)
    })
  } else if (request.url === '/echo') {
    response.code = '2.04'
    response.end(request.payload)
  } else if (request.url === '/large') {
    response.end(large)
  } else if (request.url === '/store' && request.method === 'PUT') {
    stored = request.payload
    response.code = '2.04'
    response.end()
  } else if (request.url === '/store') {
    response.end(stored)
  } else if (request.url === '/obs' && request.method === 'PUT') {
    value = request.payload
    response.code = '2.04'
    response.end()
    for (const each of observers) each.write(value)
  } else if (request.url === '/obs' && request.headers.Observe === 0) {
    observers.add(response)
    response.on('finish', () => observers.delete(response))
    response.write(value.length ? value : ' ')
  } else {
    response.code = '4.04'
    response.end()
  }
})
server.listen(Number(process.argv[2]), '127.0.0.1')
