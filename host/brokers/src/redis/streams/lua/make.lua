-- Makes a stream with nothing in it. KEYS: stream. Answers whether it is new.
local is_new = 1 - redis.call('EXISTS', KEYS[1])
make_stream(KEYS[1])
return is_new
