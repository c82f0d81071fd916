-- Takes a lock that nobody holds. KEYS: the lock, the last fence of all. ARGV: token, holder, milliseconds.
-- Answers {1, fence}, or {0, milliseconds left, token of who has it}, or {-1} for what is no lock.
-- The fence is the server's time in microseconds, or one more than the last where that is no less: so it grows also where the last was
-- forgotten, by a server without a file, or by a failover. Numbers of Lua are exact up to 2^53, which such a time reaches in the year 2255.
local held = redis.call('GET', KEYS[1])
if held then
    local token = string.match(held, '^%d+ %d+ (%S+) ')
    local left = redis.call('PTTL', KEYS[1])
    if not token or left < 0 then
        return {-1}
    end
    return {0, left, token}
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local fence = math.max(tonumber(redis.call('GET', KEYS[2]) or '0') + 1, now)
fence = string.format('%.0f', fence)
redis.call('SET', KEYS[2], fence)
redis.call('SET', KEYS[1], fence .. ' ' .. string.format('%.0f', math.floor(now / 1000)) .. ' ' .. ARGV[1] .. ' ' .. ARGV[2], 'PX', ARGV[3])
return {1, fence}
