-- Ends a lease. KEYS: the lock. ARGV: the owner's token, or ''; the fence, or ''. Answers 0 where there is no such lease.
local held = redis.call('GET', KEYS[1])
if not held then
    return 0
end
local fence, token = string.match(held, '^(%d+) %d+ (%S+) ')
if not token or (token ~= ARGV[1] and fence ~= ARGV[2]) then
    return 0
end
redis.call('UNLINK', KEYS[1])
return 1
