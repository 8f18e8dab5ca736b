-- What wrk sends for use.lua and overload.lua, by random members: uses of points for an order of their own, or reads.
-- Arguments: the prefix of the members' ids, how many there are, the mean pause between a connection's requests in
-- milliseconds (0: none), a name that makes this run's keys and orders its own, the points of a use (0: read instead);
-- where a gateway is asked, its host and a file with each member's token in a line as well.
local requests = {}
local prefix, members, run, amount, host
local count, tokens = 0, {}

function requests.begin(args)
  local pause = tonumber(args[3])
  prefix, members, run, amount = args[1], tonumber(args[2]), args[4], tonumber(args[5])
  host = args[6] or "127.0.0.1"
  if args[7] then
    for token in io.lines(args[7]) do table.insert(tokens, token) end
  end
  math.randomseed(os.time())
  if pause > 0 then
    -- Exponential pauses: many connections together then send as independent callers do.
    function delay() return -math.log(1 - math.random()) * pause end
  end
end

local function caller()
  local number = math.random(members)
  if tokens[number] then return "Authorization: Bearer " .. tokens[number] end
  return string.format("X-Member-Id: %s-%d\r\nX-Member-Role: member", prefix, number)
end

-- The next request; `more` are header lines, each with its end.
function requests.next(more)
  if amount == 0 then
    return string.format("GET /v1/points HTTP/1.1\r\nHost: %s\r\n%s\r\n%s\r\n", host, caller(), more)
  end
  count = count + 1
  local body = string.format('{"order_id":"%s-%d","amount":%d}', run, count, amount)
  return string.format("POST /v1/points/use HTTP/1.1\r\nHost: %s\r\n%s\r\n%sIdempotency-Key: %s-%d\r\n"
    .. "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", host, caller(), more, run, count, #body, body)
end

return requests
