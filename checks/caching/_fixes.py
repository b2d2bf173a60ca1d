"""Fixes on the server, for a shell with redis-cli, and in the application, by its runtime.

What CONFIG SET changes is lost at a restart unless CONFIG REWRITE writes it to the configuration file, which a server
may be started without.
"""

from __future__ import annotations


def settings(**values: str) -> dict[str, str]:
    """CONFIG SET of parameters, underscores for hyphens, made permanent."""
    pairs = [f"{name.replace('_', '-')} {value}" for name, value in values.items()]
    lines = [f'redis-cli -u "$REDIS_URL" CONFIG SET {pair}' for pair in pairs]
    started = " ".join(f"--{pair}" for pair in pairs)
    keep = f'redis-cli -u "$REDIS_URL" CONFIG REWRITE  # started without a file, it needs {started}'
    return {"redis-cli": "\n".join([*lines, keep])}


EVICT = settings(maxmemory_policy="allkeys-lru")
LIMIT = settings(maxmemory="2gb", maxmemory_policy="allkeys-lru")
MORE_MEMORY = settings(maxmemory="4gb")
APPEND_ONLY = settings(appendonly="yes", appendfsync="everysec")
FSYNC = settings(appendfsync="everysec")
DEFRAGMENT = settings(activedefrag="yes")
HOST_SHARE = settings(maxmemory="6gb")
CLIENTS = settings(maxclients="20000")
KEEPALIVE = settings(tcp_keepalive="300")
BACKLOG = settings(repl_backlog_size="64mb")
MIN_REPLICAS = settings(min_replicas_to_write="1", min_replicas_max_lag="10")
LATENCY_MONITOR = settings(latency_monitor_threshold="100")
BUFFERS = settings(client_output_buffer_limit="'normal 64mb 16mb 60'")
USERS = {
    "redis-cli": """
        redis-cli -u "$REDIS_URL" ACL SETUSER app on ">$APP_PASSWORD" '~app:*' +@all -@dangerous -@admin
        redis-cli -u "$REDIS_URL" ACL SETUSER default off  # once every client logs in as app
        redis-cli -u "$REDIS_URL" ACL SAVE  # without an aclfile: CONFIG REWRITE; without a redis.conf either, write one
    """,
}
REPLICA = {
    "redis-cli": """
        redis-cli -h REPLICA_HOST REPLICAOF PRIMARY_HOST 6379
        redis-cli -h REPLICA_HOST CONFIG REWRITE  # started without a file, it needs --replicaof 'PRIMARY_HOST 6379'
    """,
}
DRIFT = {
    "redis-cli": """
        redis-cli -h REPLICA_HOST CONFIG SET maxmemory 2gb
        redis-cli -h REPLICA_HOST CONFIG SET maxmemory-policy allkeys-lru
        redis-cli -h REPLICA_HOST CONFIG REWRITE  # started without a file, it needs both as options
    """,
}
SHARED = {
    "node": """
        import Redis from 'ioredis';

        const cache = new Redis(process.env.REDIS_URL, {
          connectTimeout: 2_000, commandTimeout: 1_000, maxRetriesPerRequest: 1, enableOfflineQueue: false,
        });  // instead of new Map(), with the same keys
        await cache.set(key, JSON.stringify(value), 'EX', 300);
    """,
    "python": """
        cache = redis.asyncio.from_url(os.environ["REDIS_URL"], socket_connect_timeout=2, socket_timeout=1)
        await cache.set(key, json.dumps(value), ex=300)  # instead of a dictionary, with the same keys
    """,
    "django": """
        # settings.py, instead of locmem
        CACHES = {
            "default": {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "LOCATION": os.environ["REDIS_URL"],
                "TIMEOUT": 300,
                "OPTIONS": {"socket_connect_timeout": 2, "socket_timeout": 1},
            }
        }
    """,
}
BOUNDED = {
    "node": """
        import {LRUCache} from 'lru-cache';

        const cache = new LRUCache({max: 10_000, ttl: 300_000});  // least recently used goes first
    """,
    "python": """
        from cachetools import TTLCache

        cache = TTLCache(maxsize=10_000, ttl=300)  # least recently used goes first
    """,
    "django": """
        # settings.py
        CACHES["default"]["TIMEOUT"] = 300
        CACHES["default"]["OPTIONS"] = {"MAX_ENTRIES": 10_000, "CULL_FREQUENCY": 3}
    """,
}
CLEANUP = {
    "node": "const cache = new NodeCache({stdTTL: 300, checkperiod: 60});",
    "python": """
        async def clean():  # beside the service, for as long as it runs
            while True:
                await asyncio.sleep(60)
                cache.expire()
    """,
}
STATISTICS = {
    "express": """
        const count = {hits: 0, misses: 0};  // counted where the cache is read
        app.get('/health', (req, res) => {
          const cache = {store: 'memory', entries: lru.size, maxEntries: lru.max, ...count};
          res.json({status: 'pass', cache});
        });
    """,
    "fastapi": """
        @app.get("/health")
        async def health():
            cache = {"store": "memory", "hits": count.hits, "misses": count.misses, "entries": len(entries)}
            return {"status": "pass", "cache": cache}
    """,
    "django": """
        def health(request):
            return JsonResponse({"status": "pass", "cache": {"store": "memory", "hits": hits, "misses": misses}})
    """,
}
LONGER = {
    "node": """
        const key = `products:${category.trim().toLowerCase()}:${page}`;  // one spelling, and no value that varies
        await redis.set(key, JSON.stringify(value), 'EX', 3600);  // longer, and warmed at deployment
    """,
    "python": """
        key = f"products:{category.strip().lower()}:{page}"  # one spelling, and no value that varies
        await cache.set(key, json.dumps(value), ex=3600)  # longer, and warmed at deployment
    """,
}
EXPIRE = {
    "node": "await redis.set(key, value, 'EX', 3600);  // EX on every write",
    "python": "await cache.set(key, value, ex=3600)  # ex on every write",
}
JITTER = {
    "node": """
        // what was written together must not expire together
        await redis.set(key, value, 'EX', Math.round(3600 * (0.9 + 0.2 * Math.random())));
    """,
    "python": """
        # what was written together must not expire together
        await cache.set(key, value, ex=round(3600 * random.uniform(0.9, 1.1)))
    """,
}
WARM = {
    "node": """
        // at deployment, before the instance reports ready
        for (const product of await db.collection('products').find({hot: true}).toArray()) {
          await redis.set(`product:${product._id}`, JSON.stringify(product), 'EX', 3600);
        }
    """,
    "python": """
        async def warm():  # at deployment, before the instance reports ready
            async for product in db.products.find({"hot": True}):
                await cache.set(f"product:{product['_id']}", json.dumps(product, default=str), ex=3600)
    """,
}
FALLBACK = {
    "node": """
        const get = async (key, compute) => {
          const known = await redis.get(key).catch(() => null);  // a cache that is away is a miss
          return known === null ? compute() : JSON.parse(known);
        };
    """,
    "python": """
        async def get(key, compute):
            try:
                known = await cache.get(key)
            except redis.exceptions.RedisError:  # a cache that is away is a miss
                known = None
            return await compute() if known is None else json.loads(known)
    """,
}
ONE_CLIENT = {
    "node": "const redis = new Redis(process.env.REDIS_URL);  // once a process, at its start: not once a request",
    "python": "cache = redis.asyncio.from_url(os.environ['REDIS_URL'], max_connections=20)  # once a process",
}
SCAN = {
    "node": """
        for await (const keys of redis.scanStream({match: 'user:*', count: 500})) {  // instead of KEYS
          await handle(keys);
        }
    """,
    "python": """
        async def all_users():
            async for key in cache.scan_iter(match="user:*", count=500):  # instead of KEYS
                await handle(key)
    """,
}
