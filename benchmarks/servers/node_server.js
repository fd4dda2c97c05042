// node-coap with the resources of benchmarks/server.py. NODE_PATH must name the node_modules that has it.
// Usage: node node_server.js PORT
const coap = require('coap')

const server = coap.createServer((request, response) => {
  if (request.url === '/hello') {
    response.setOption('Content-Format', 'text/plain')
    response.end('Hello, world!')
  } else if (request.url === '/echo') {
    response.code = '2.04'
    response.end(request.payload)
  } else {
    response.code = '4.04'
    response.end()
  }
})
server.listen(Number(process.argv[2]), '127.0.0.1')
