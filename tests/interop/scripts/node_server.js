// node-coap with the resources that tests/interop/tree.py describes.
// Usage: node node_server.js HOST PORT. Prints "ready" when it listens; ends with its standard input.
'use strict'

const { createHash } = require('crypto')
const coap = require('coap')

const PERIOD = Buffer.from(Array.from({ length: 251 }, (_, index) => index))

const digest = (body) => createHash('sha256').update(body)
const entityTag = (body) => digest(body).digest().subarray(0, 8)
const summarize = (body) => `${body.length} ${digest(body).digest('hex')}`
const valuesOf = (request, name) =>
  request.options.filter((option) => option.name === name).map((option) => option.value)
const queriesOf = (request) => valuesOf(request, 'Uri-Query').map(String)

const answer = (response, code, payload = '', options = {}) => {
  response.code = code
  for (const [name, value] of Object.entries(options)) response.setOption(name, value)
  response.end(payload)
}
const text = (response, payload) => answer(response, '2.05', payload, { 'Content-Format': 'text/plain' })

let stored = null
let count = 0
let uploaded = summarize(Buffer.alloc(0))
let ticks = 0

// Path to method to what answers it; '*' takes every method.
const RESOURCES = {
  '/hello': {
    GET: (request, response) => {
      const etag = Buffer.from('hello')
      // The library reads an ETag as text; this one is ASCII.
      if (valuesOf(request, 'ETag').some((value) => String(value) === 'hello')) {
        answer(response, '2.03', '', { ETag: etag })
      } else {
        answer(response, '2.05', 'Hello, world!',
          { 'Content-Format': 'text/plain', ETag: etag, 'Max-Age': 30 })
      }
    }
  },
  '/echo': {
    '*': (request, response) => {
      const code = { GET: '2.05', FETCH: '2.05', DELETE: '2.02' }[request.method] ?? '2.04'
      const form = request.headers['Content-Format']
      answer(response, code, request.payload, form === undefined ? {} : { 'Content-Format': form })
    }
  },
  '/method': {
    '*': (request, response) => {
      const packet = request._packet
      text(response, `${request.method} ${packet.confirmable ? 'CON' : 'NON'} ${packet.token.length}`)
    }
  },
  '/query': { '*': (request, response) => text(response, queriesOf(request).join('\n')) },
  '/delayed': {
    '*': (request, response) => {
      setTimeout(() => text(response, `delayed ${request.method}`), Number(queriesOf(request)[0]))
    }
  },
  '/code': { '*': (request, response) => answer(response, queriesOf(request)[0]) },
  '/café/a b': { GET: (request, response) => text(response, 'found') },
  '/created': {
    POST: (request, response) => answer(response, '2.01', '', {
      'Location-Path': ['made', '1 2'].map((each) => Buffer.from(each)),
      'Location-Query': ['a=b', 'c'].map((each) => Buffer.from(each))
    })
  },
  '/count': { POST: (request, response) => answer(response, '2.04', String(++count)) },
  '/store': {
    GET: (request, response) => {
      if (stored === null) answer(response, '4.04')
      else answer(response, '2.05', stored, { ETag: entityTag(stored) })
    },
    PUT: (request, response) => {
      const tags = valuesOf(request, 'If-Match')
      const matches = stored !== null && tags.some((tag) => entityTag(stored).equals(tag))
      const refused = (tags.length > 0 && !matches) ||
        (stored !== null && valuesOf(request, 'If-None-Match').length > 0)
      if (refused) return answer(response, '4.12')
      const code = stored === null ? '2.01' : '2.04'
      stored = request.payload
      answer(response, code)
    },
    DELETE: (request, response) => {
      stored = null
      answer(response, '2.02')
    }
  },
  '/large': {
    GET: (request, response) => {
      const body = Buffer.alloc(Number(queriesOf(request)[0] ?? 65536), PERIOD)
      answer(response, '2.05', body, { 'Content-Format': 'application/octet-stream', ETag: entityTag(body) })
    }
  },
  '/upload': {
    PUT: (request, response) => {
      uploaded = summarize(request.payload)
      answer(response, '2.04', uploaded)
    },
    POST: (request, response) => RESOURCES['/upload'].PUT(request, response),
    GET: (request, response) => text(response, uploaded)
  },
  '/obs': {
    GET: (request, response) => {
      if (request.headers.Observe !== 0) return text(response, `tick ${ticks}`)
      const tell = () => response.write(`tick ${ticks}`)
      const timer = setInterval(tell, 1000)
      response.on('finish', () => clearInterval(timer))
      tell()
    }
  },
  '/.well-known/core': {
    GET: (request, response) => answer(response, '2.05',
      Object.keys(RESOURCES).map((path) => `<${encodeURI(path)}>${path === '/obs' ? ';obs' : ''}`).join(','),
      { 'Content-Format': 'application/link-format' })
  }
}

const [host, port] = process.argv.slice(2)
const server = coap.createServer({ type: host.includes(':') ? 'udp6' : 'udp4' }, (request, response) => {
  const resource = RESOURCES[request.url.split('?')[0]]
  if (resource === undefined) return answer(response, '4.04')
  const render = resource[request.method] ?? resource['*']
  if (render === undefined) return answer(response, '4.05')
  // The library takes an error of an exchange that nobody listens for as the end of the process.
  response.on('error', (error) => console.error(String(error)))
  render(request, response)
})
setInterval(() => { ticks += 1 }, 1000)
server.listen(Number(port), host, () => console.log('ready'))
process.stdin.on('end', () => process.exit(0)).resume()
