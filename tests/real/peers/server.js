// An Express application as its authors' manuals show it: prom-client for metrics, terminus for health.
const http = require('node:http');
const express = require('express');
const client = require('prom-client');
const { createTerminus, HealthCheckError } = require('@godaddy/terminus');

client.collectDefaultMetrics();
const duration = new client.Histogram({
  name: 'http_request_duration_seconds',
  help: 'Duration of HTTP requests in seconds',
  labelNames: ['method', 'route', 'status_code'],
});

const app = express();
app.use((req, res, next) => {
  const end = duration.startTimer();
  res.on('finish', () => end({ method: req.method, route: req.route?.path ?? 'unmatched', status_code: res.statusCode }));
  next();
});
app.use(express.json());
app.get('/', (req, res) => res.json({ name: 'shop' }));
app.get('/metrics', async (req, res) => res.type(client.register.contentType).send(await client.register.metrics()));

let down = false;
app.post('/break', (req, res) => { down = true; res.end(); });

async function ready() {
  const redis = { status: down ? 'down' : 'up', responseTime: 2 };
  if (down) throw new HealthCheckError('a dependency is down', { redis });
  return { mongodb: { status: 'up', responseTime: 1 }, redis };
}

const server = http.createServer(app);
createTerminus(server, {
  healthChecks: { '/health/live': async () => {}, '/health/ready': ready, verbatim: true },
  statusError: 503,
});
server.listen(Number(process.env.PORT), '127.0.0.1');
