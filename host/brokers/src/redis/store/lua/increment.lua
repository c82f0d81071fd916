-- Adds to a number. KEYS: the key. ARGV: what is added, at most MAX either way; milliseconds or ''. Answers the sum as text, or why not.
-- Numbers of Lua are exact up to 2^53, so every step stays within that.
local MAX = 9007199254740992
local MAX_DIGITS = '9007199254740992'
local held, by, now = redis.call('GET', KEYS[1]), tonumber(ARGV[1]), 0
if held then
    local digits = string.match(held, '^%-?0*(%d+)$')
    if not digits or #digits > #MAX_DIGITS or (#digits == #MAX_DIGITS and digits > MAX_DIGITS) then
        return 'no number'
    end
    now = tonumber(held)
end
if (by > 0 and now > MAX - by) or (by < 0 and now < -MAX - by) then
    return 'beyond'
end
local sum = string.format('%.0f', now + by)
if sum == '-0' then
    sum = '0'
end
if held then
    redis.call('SET', KEYS[1], sum, 'KEEPTTL')
elseif ARGV[2] == '' then
    redis.call('SET', KEYS[1], sum)
else
    redis.call('SET', KEYS[1], sum, 'PX', ARGV[2])
end
return sum
