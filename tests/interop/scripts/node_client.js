// node-coap's client: requests to one URI, and a line of JSON for each response.
// Usage: node node_client.js METHOD[,METHOD...] URI [--non] [--stdin] [--option NUMBER=HEX]
//        [--repeat COUNT] [--vary] [--observe COUNT] [--linger] [--block-size BYTES]
// Of several methods each waits for the response to the one before. --stdin takes the payload from standard
// input, --repeat asks several times at once, --vary adds its index to each byte of the payload of each of
// them, --observe ends after as many notifications, --linger waits for the end of the input then, --block-size sets the largest block both ways.
'use strict'

const { readFileSync } = require('fs')
const { parseArgs } = require('util')
const coap = require('coap')

const { values, positionals: [methods, uri] } = parseArgs({
  allowPositionals: true,
  options: {
    non: { type: 'boolean' },
    stdin: { type: 'boolean' },
    option: { type: 'string', multiple: true, default: [] },
    repeat: { type: 'string', default: '1' },
    vary: { type: 'boolean' },
    observe: { type: 'string', default: '0' },
    linger: { type: 'boolean' },
    'block-size': { type: 'string', default: '0' }
  }
})
const payload = values.stdin ? readFileSync(0) : Buffer.alloc(0)
const observations = Number(values.observe)
const blockSize = Number(values['block-size'])
// How a block option writes a size (RFC 7959 2.2).
const exponent = Math.log2(blockSize || 1024) - 4

const show = (response, body) => {
  const packet = response._packet
  console.log(JSON.stringify({
    code: response.code,
    type: packet.ack ? 'ACK' : packet.confirmable ? 'CON' : 'NON',
    // The library turns known options into numbers and text; what is left as bytes is given.
    options: response.options.map(({ name, value }) =>
      [name, Buffer.isBuffer(value) ? value.toString('hex') : value]),
    payload: body.toString('hex')
  }))
}

// The library does not decode a URI's percent-encoding, so it gets the parts.
const target = new URL(uri.replace(/^coap:/, 'http:'))
const parameters = {
  hostname: target.hostname.replace(/^\[|\]$/g, ''),
  port: target.port || 5683,
  pathname: decodeURIComponent(target.pathname),
  query: decodeURIComponent(target.search.slice(1)),
  confirmable: !values.non,
  observe: observations > 0
}

const fail = (error) => {
  console.error(String(error))
  process.exit(1)
}

// A promise that is kept when the request is answered, and shown as often as was asked for.
const ask = (method, index) => new Promise((resolve) => {
  const request = coap.request({ ...parameters, method })
  for (const option of values.option) {
    const [number, value] = option.split('=')
    request.setOption(number, Buffer.from(value, 'hex'))
  }
  // The library sends a long body in blocks only if asked to: the first block's option (RFC 7959 2.2).
  if (payload.length > (blockSize || 1024)) request.setOption('Block1', Buffer.from([exponent]))
  if (blockSize > 0) request.setOption('Block2', Buffer.from([exponent]))
  request.on('error', fail)
  request.on('timeout', fail)
  request.on('response', (response) => {
    if (response.constructor.name !== 'ObserveReadStream') {
      show(response, response.payload)
      return resolve()
    }
    let left = observations
    response.on('data', (body) => {
      show(response, body)
      if (--left > 0) return
      response.close()
      resolve()
    })
  })
  request.end(values.vary ? payload.map((each) => each + index) : payload)
})

const main = async () => {
  for (const method of methods.split(',')) {
    await Promise.all(Array.from({ length: Number(values.repeat) }, (_, index) => ask(method, index)))
  }
  if (values.linger) await new Promise((resolve) => process.stdin.on('end', resolve).resume())
  // A pipe is written to as its reader reads: wait for that.
  process.stdout.write('', () => process.exit(0))
}
main().catch(fail)
