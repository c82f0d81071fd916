-- What every script begins with: its arguments one after another, and the server's clock in milliseconds.
local at = 0
local function take()
  at = at + 1
  return ARGV[at]
end
local function number()
  return tonumber(take())
end
local function text(n)
  return string.format('%.0f', n)
end
local function clock()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
-- Rounded up: a delay is a floor.
local function due_at(now, delay)
  return delay == 0 and now or now + delay + 1
end
