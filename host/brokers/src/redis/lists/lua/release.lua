-- A consumer leaves: what it has is anybody's at once, and nothing is counted for it. KEYS: a lane's.
local readers, alive, held, due, kept = KEYS[3], KEYS[4], KEYS[6], KEYS[7], KEYS[8]
local consumer = take()
local count = give_back(held, due, kept, clock(), 0)
redis.call('SREM', readers, consumer)
redis.call('DEL', alive)
return count
