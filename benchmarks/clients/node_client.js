// node-coap with a long body: get writes it to a file, put sends the file and prints the answer.
// Usage: node node_client.js get|put URI FILE
const { readFileSync, writeFileSync } = require('fs')
const coap = require('coap')

const [act, uri, path] = process.argv.slice(2)
const { hostname, port, pathname, search } = new URL(uri.replace(/^coap:/, 'http:'))
const request = coap.request({ hostname, port, pathname, query: search.slice(1), method: act.toUpperCase() })

const fail = (error) => {
  console.error(String(error))
  process.exit(1)
}

request.on('error', fail)
request.on('timeout', fail)
request.on('response', (response) => {
  if (!response.code.startsWith('2.')) fail(response.code)
  if (act === 'get') writeFileSync(path, response.payload)
  else console.log(response.payload.toString())
  process.exit(0)
})
if (act === 'put') {
  // The library sends a long body in blocks only if asked to: the first block's option (RFC 7959 2.2).
  request.setOption('Block1', Buffer.from([6]))
  request.end(readFileSync(path))
} else {
  request.end()
}
