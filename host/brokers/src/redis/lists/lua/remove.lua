-- Takes messages out of a list. KEYS: list. ARGV: their numbers. Answers how many were there.
local count = 0
for _, n in ipairs(ARGV) do
  if is_list(KEYS[1]) and take_out(KEYS[1], n) then
    count = count + 1
  end
end
return count
