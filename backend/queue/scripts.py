"""What happens on Redis in one act each: Lua scripts over RQ's own records, so that no process can die halfway.

RQ keeps a job in `rq:job:{id}`, scheduled ones in `rq:scheduled:{queue}` by their time, running ones in `rq:wip:{queue}`
by the time at which a missing heartbeat makes them abandoned, and for each lock (RQ calls it a rate limit) the jobs that hold
it in `rq:rl:{lock}:allowed` and those in line for it in `rq:rl:{lock}:rate_limited`.
"""

# What the scripts share. `now` is in seconds, `iso` the same as RQ writes it into a job.
_LINES = """
local function of(job, field) return redis.call('HGET', 'rq:job:' .. job, field) end

local function enqueue(job, queue, iso)
    redis.call('RPUSH', 'rq:queue:' .. queue, job)
    redis.call('HSET', 'rq:job:' .. job, 'status', 'queued', 'enqueued_at', iso)
end

-- let the first in line for a lock into their queue, as many as may hold it
local function next_turn(lock, now, iso)
    local holders, line = 'rq:rl:' .. lock .. ':allowed', 'rq:rl:' .. lock .. ':rate_limited'
    local most = tonumber(redis.call('HGET', 'rq:rl:' .. lock, 'concurrency') or '1')
    while redis.call('ZCARD', holders) < most do
        local job = redis.call('ZPOPMIN', line)[1]
        if not job then return end
        local queue = of(job, 'origin')
        if queue and of(job, 'status') == 'rate_limited' then
            redis.call('ZADD', holders, now, job)
            enqueue(job, queue, iso)
        end
    end
end

local function line_up(job, now, iso)
    local lock = of(job, 'rate_limit_key')
    if not lock then return enqueue(job, of(job, 'origin'), iso) end
    redis.call('SADD', 'rq:rl-keys', lock)
    redis.call('HSET', 'rq:rl:' .. lock, 'concurrency', of(job, 'rate_limit_concurrency') or 1)
    redis.call('HSET', 'rq:job:' .. job, 'status', 'rate_limited')
    redis.call('ZADD', 'rq:rl:' .. lock .. ':rate_limited', now, job)
    next_turn(lock, now, iso)
end
"""

# KEYS: the project's hash, the queue's scheduled registry
# ARGV: now, iso, kind, project, delay, labels, retrain_after, generation that the job's fields are for, those fields ...
# Returns the id of the job that will do, "" where its fields are wanted for another generation, and that generation.
WAKE = (
    _LINES
    + """
local now, iso, kind, project = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local at, labels, quiet = now + ARGV[5], tonumber(ARGV[6]), false
local field = kind .. ':generation'
local function generation() return tonumber(redis.call('HGET', KEYS[1], field) or '0') end
local function name(number) return kind .. '-' .. project .. '-' .. string.format('%d', number) end
local function due(job) return tonumber(redis.call('ZSCORE', KEYS[2], job) or '') end

local ended = {failed = true, finished = true, canceled = true, stopped = true}
while ended[of(name(generation()), 'status')] do
    redis.call('HINCRBY', KEYS[1], field, 1)  -- it ended before its first act, or the counter was lost
end
local job, before = name(generation()), name(generation() - 1)
local exists = redis.call('EXISTS', 'rq:job:' .. job) == 1
local again = not exists and due(before) and before  -- the job that began last failed, and waits for its next try
if not exists and not again and generation() ~= tonumber(ARGV[8]) then return {'', generation()} end

if labels > 0 then
    local pending = redis.call('HINCRBY', KEYS[1], 'pending', labels)
    if pending >= tonumber(ARGV[7]) then at = now else quiet = true end
end
local gives_way = labels < 0  -- counts no label, but labels to come put off what it schedules
quiet = quiet or gives_way
local function move(moved)
    redis.call('ZREM', KEYS[2], moved)
    if at > now then redis.call('ZADD', KEYS[2], at, moved) else line_up(moved, now, iso) end
end

if not exists and not again then
    redis.call('HSET', 'rq:job:' .. job, unpack(ARGV, 9))
    redis.call('SADD', 'rq:queues', 'rq:queue:' .. of(job, 'origin'))
    if quiet then redis.call('HSET', KEYS[1], 'quiet', job) end
    move(job)
    return {job, generation()}
end

local tried = again or (of(job, 'started_at') or '') ~= ''
job = again or job
if of(job, 'status') == 'scheduled' then
    local scheduled = due(job)
    -- labels do not call for a failed job's next try, and put off only what labels alone have scheduled
    local put_off = quiet and redis.call('HGET', KEYS[1], 'quiet') == job
    local moves = put_off or (scheduled and at < scheduled and not gives_way)
    if not scheduled or (not (tried and labels ~= 0) and scheduled > now and moves) then
        if not quiet then redis.call('HDEL', KEYS[1], 'quiet') end
        move(job)
    end
end
return {job, generation()}
"""
)

# KEYS: the project's hash. ARGV: kind, generation of the job that begins, its fencing token ("" for none), how many jobs of
# the kind may run together.
# Returns 0 where a later generation has begun already, which does what this one would; never where several share the work.
BEGIN = """
local field, generation = ARGV[1] .. ':generation', tonumber(ARGV[2])
local known = tonumber(redis.call('HGET', KEYS[1], field) or '0')
if known > generation + 1 and ARGV[4] == '1' then return 0 end
redis.call('HSET', KEYS[1], field, string.format('%d', math.max(known, generation + 1)))
if ARGV[1] == 'round' then redis.call('HSET', KEYS[1], 'pending', 0) end
if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], 'fence', ARGV[3]) end
return 1
"""

# ARGV: now, iso, seconds after which a job that nobody holds is lost, names of the queues ...
# Returns the ids of the jobs whose worker is gone, which are in line again.
UPKEEP = (
    _LINES
    + """
if not redis.call('SET', 'al:upkeep', '1', 'NX', 'PX', 800) then return {} end  -- another worker just did it
local now, iso, lost = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local taken_over = {}
for number = 4, #ARGV do
    local scheduled, running = 'rq:scheduled:' .. ARGV[number], 'rq:wip:' .. ARGV[number]
    for _, job in ipairs(redis.call('ZRANGEBYSCORE', scheduled, '-inf', now, 'LIMIT', 0, 100)) do
        redis.call('ZREM', scheduled, job)
        if of(job, 'origin') then line_up(job, now, iso) end
    end
    for _, execution in ipairs(redis.call('ZRANGEBYSCORE', running, '-inf', now - 1)) do
        local job = string.match(execution, '^[^:]+')
        local status = of(job, 'status')
        local cut_off = status == 'scheduled' and not redis.call('ZSCORE', scheduled, job)  -- between RQ's two writes
        if (status == 'started' or cut_off) and tonumber(of(job, 'retries_left') or '0') > 0 then
            redis.call('HINCRBY', 'rq:job:' .. job, 'retries_left', -1)
            redis.call('ZREM', running, execution)
            redis.call('ZREM', 'rq:rl:' .. (of(job, 'rate_limit_key') or '') .. ':allowed', job)
            line_up(job, now, iso)
            table.insert(taken_over, job)
        end
    end
end
for _, lock in ipairs(redis.call('SMEMBERS', 'rq:rl-keys')) do
    local holders = 'rq:rl:' .. lock .. ':allowed'
    for _, job in ipairs(redis.call('ZRANGE', holders, 0, -1)) do
        local status, queue = of(job, 'status'), of(job, 'origin')
        if status ~= 'queued' and status ~= 'started' and redis.call('ZCOUNT', 'rq:executions:' .. job, now, '+inf') == 0 then
            redis.call('ZREM', holders, job)  -- its worker died before it let go of the lock
        elseif status == 'queued' and not redis.call('LPOS', 'rq:queue:' .. queue, job) then
            -- a worker has taken it off the queue, and has begun nothing yet
            local seen = 'al:taken:' .. job
            local since = tonumber(redis.call('GET', seen) or '')
            if not since then
                redis.call('SET', seen, now, 'EX', 10 * lost)
            elseif now - since >= lost then
                redis.call('DEL', seen)
                redis.call('LREM', 'rq:queue:' .. queue .. ':intermediate', 0, job)
                enqueue(job, queue, iso)
                table.insert(taken_over, job)
            end
        end
    end
    next_turn(lock, now, iso)
end
return taken_over
"""
)
