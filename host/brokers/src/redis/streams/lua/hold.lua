-- A lane says that it is there, and hears whether it still is one. KEYS: stream, seat, era.
local group, consumer, exclusive, lease, era = take(), take(), take(), take(), take()
if not has_seat(KEYS[2], consumer, exclusive, lease) or (redis.call('GET', KEYS[3]) or '') ~= era then
  return 0
end
-- Claims nothing: it is how a consumer is seen (XINFO CONSUMERS, idle) that is not reading just now.
redis.pcall('XCLAIM', KEYS[1], group, consumer, 3600000, '0-1', 'JUSTID')
return 1
