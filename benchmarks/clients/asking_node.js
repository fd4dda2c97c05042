// node-coap as a client as it is measured; reads and prints as asking.py does.
// Usage: node asking_node.js PORT
const { createInterface } = require('readline')
const coap = require('coap')

const [port] = process.argv.slice(2)

const ask = () => new Promise((resolve, reject) => {
  const request = coap.request({ hostname: '127.0.0.1', port, pathname: '/hello' })
  request.on('response', (response) => resolve(response.payload.toString()))
  request.on('error', reject)
  request.end()
})

const drive = async (count, window) => {
  let left = count
  let errors = 0
  const chain = async () => {
    while (left-- > 0) if (await ask() !== 'Hello, world!') errors++
  }
  const cpu = process.cpuUsage()
  const begin = process.hrtime.bigint()
  await Promise.all(Array.from({ length: window }, chain))
  const { user, system } = process.cpuUsage(cpu)
  const seconds = Number(process.hrtime.bigint() - begin) / 1e9
  console.log(JSON.stringify({ micros: (user + system) / count, rate: count / seconds, errors }))
}

const obey = async () => {
  for await (const line of createInterface({ input: process.stdin })) await drive(...line.split(' ').map(Number))
  process.exit(0)
}

obey()
