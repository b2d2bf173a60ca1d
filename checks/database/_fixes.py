"""Fixes in the application's database client, by its runtime, and for mongosh."""

from __future__ import annotations


def options(**values: str) -> dict[str, str]:
    """Options of the client: in its URI for any driver, in code for Node.js and Python."""
    node = ", ".join(f"{name}: {value}" for name, value in values.items())
    python = ", ".join(f"{name}={_PYTHON.get(value, value)}" for name, value in values.items())
    return {
        "node": f"const client = new MongoClient(process.env.MONGODB_URI, {{{node}}});",
        "python": f'client = pymongo.AsyncMongoClient(os.environ["MONGODB_URI"], {python})',
    }


_PYTHON = {"true": "True", "false": "False"}

POOL_MAX = options(maxPoolSize="50")
POOL_MIN = options(maxPoolSize="50", minPoolSize="10")
MAX_IDLE = options(maxIdleTimeMS="300_000")
TIMEOUTS = options(serverSelectionTimeoutMS="5_000", connectTimeoutMS="10_000", socketTimeoutMS="45_000")
WAIT_QUEUE = options(waitQueueTimeoutMS="5_000")
RETRY = options(retryWrites="true", retryReads="true")
WRITE_CONCERN = options(w='"majority"')
COMPRESSORS = {
    "node": "const client = new MongoClient(process.env.MONGODB_URI, {compressors: ['zstd', 'snappy']});",
    "python": 'client = pymongo.AsyncMongoClient(os.environ["MONGODB_URI"], compressors="zstd,snappy")',
}
TLS = options(tls="true", tlsCAFile='"/etc/ssl/mongodb-ca.pem"')
APP_NAME = options(appName='"shop"')
ONE_CLIENT = {
    "node": """
        // database.js: one client a process, which every module shares
        export const client = new MongoClient(process.env.MONGODB_URI, {appName: 'shop', maxIdleTimeMS: 300_000});
    """,
    "python": """
        # database.py: one client a process, which every module shares
        client = pymongo.AsyncMongoClient(os.environ["MONGODB_URI"], appName="shop", maxIdleTimeMS=300_000)
    """,
}
PROFILE = {
    "mongosh": """
        db.setProfilingLevel(1, {slowms: 100, sampleRate: 0.1});
        db.system.profile.find({op: "query"}, {ns: 1, millis: 1, planSummary: 1, docsExamined: 1}).sort({millis: -1});
        db.products.createIndex({category: 1, price: 1});  // what they filter and sort by
    """,
}
EXPLAIN = {
    "mongosh": """
        db.products.find({category: "vases"}).sort({price: 1}).explain("executionStats").executionStats;
        db.products.createIndex({category: 1, price: 1});  // equality first, then sort, then range
    """,
}
SCANS = {
    "mongosh": """
        db.setProfilingLevel(1, {slowms: 100, filter: {planSummary: "COLLSCAN"}});
        db.system.profile.find({planSummary: "COLLSCAN"}, {ns: 1, "command.filter": 1});
        db.products.createIndex({category: 1});  // for that filter
    """,
}
UNUSED = {
    "mongosh": """
        db.products.hideIndex("category_1");  // a week later, where nobody missed it:
        db.products.dropIndex("category_1");
    """,
}
OPLOG = {
    "mongosh": "db.adminCommand({replSetResizeOplog: 1, size: 16384, minRetentionHours: 48});  // on every member",
}
DEFAULT_WRITE_CONCERN = {
    "mongosh": 'db.adminCommand({setDefaultRWConcern: 1, defaultWriteConcern: {w: "majority"}});',
}
PRIORITIES = {
    "mongosh": """
        c = rs.conf();
        c.members[1].priority = 1;
        rs.reconfig(c);
    """,
}
JOURNAL = {
    "mongosh": """
        c = rs.conf();
        c.writeConcernMajorityJournalDefault = true;
        rs.reconfig(c);
    """,
}
HOSTNAMES = {
    "mongosh": """
        c = rs.conf();
        c.members[0].host = "db1.example.com:27017";  // one member at a time
        rs.reconfig(c);
    """,
}
AUDITOR = {
    "mongosh": """
        db = db.getSiblingDB("admin");
        db.createUser({user: "readiness", pwd: passwordPrompt(), roles: [{role: "clusterMonitor", db: "admin"}]});
    """,
}
FEATURE_VERSION = {
    "mongosh": 'db.adminCommand({setFeatureCompatibilityVersion: "8.0", confirm: true});  // the installed series',
}
LONG_OPERATIONS = {
    "mongosh": """
        db.currentOp({active: true, secs_running: {$gte: 10}}).inprog.map((op) => [op.opid, op.ns, op.secs_running]);
        db.killOp(OPID);  // and give its query a maxTimeMS
    """,
}
USERS = {
    "mongosh": """
        db = db.getSiblingDB("admin");
        db.createUser({user: "root", pwd: passwordPrompt(), roles: ["root"]});
        db.createUser({user: "shop", pwd: passwordPrompt(), roles: [{role: "readWrite", db: "shop"}]});
        // then security.authorization: enabled in mongod.conf, and a restart member by member
    """,
}
