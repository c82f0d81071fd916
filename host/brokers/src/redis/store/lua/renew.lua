-- Gives a lease a time of its own again. KEYS: the lock. ARGV: the owner's token, milliseconds. Answers 0 where it is not the owner's any more.
local held = redis.call('GET', KEYS[1])
if not held or string.match(held, '^%d+ %d+ (%S+) ') ~= ARGV[1] then
    return 0
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
