-- What stands at a key of a dedup inbox whose message is done. A claimant is twenty bytes.
local DONE = 'd'
local function give_back(key, claimant)
  if redis.call('GET', key) == claimant then
    redis.call('DEL', key)
  end
end
