-- Uses of points (arguments: requests.lua), with the answers told apart: done (201), refused (503), and all others.
-- A request's id is the moment that it was sent, and comes back with its answer: only what was done is timed.
package.path = (debug.getinfo(1, "S").source:match("@(.*/)") or "") .. "?.lua;" .. package.path
local requests = require("requests")
local ffi = require("ffi")
ffi.cdef("typedef struct { long s; long ns; } moment; int clock_gettime(int clock, moment *now);")
local moment = ffi.new("moment")
local threads = {}

-- Of each thread, for done(): how many ended how, and of the done how many took which half of a millisecond.
answered, refused, others, took = 0, 0, 0, {}

local function microseconds()
  ffi.C.clock_gettime(1, moment)
  return tonumber(moment.s) * 1e6 + tonumber(moment.ns) / 1e3
end

function setup(thread) table.insert(threads, thread) end

function init(args) requests.begin(args) end

function request() return requests.next(string.format("X-Request-Id: %.0f\r\n", microseconds())) end

function response(status, headers)
  if status == 201 then
    answered = answered + 1
    local sent = tonumber(headers["x-request-id"])
    local half = math.floor((microseconds() - sent) / 500)
    took[half] = (took[half] or 0) + 1
  elseif status == 503 then
    refused = refused + 1
  else
    others = others + 1
  end
end

function done(summary)
  local all, ended, no, odd = {}, 0, 0, 0
  for _, thread in ipairs(threads) do
    ended, no, odd = ended + thread:get("answered"), no + thread:get("refused"), odd + thread:get("others")
    for half, number in pairs(thread:get("took")) do all[half] = (all[half] or 0) + number end
  end
  local halves = {}
  for half in pairs(all) do table.insert(halves, half) end
  table.sort(halves)
  local function percentile(part)
    local passed = 0
    for _, half in ipairs(halves) do
      passed = passed + all[half]
      if passed >= part * ended then return (half + 1) / 2 end
    end
    return 0
  end
  local errors = summary.errors
  io.write(string.format('{"done":%d,"refused":%d,"lost":%d,"seconds":%f,"p50":%f,"p99":%f}\n',
    ended, no, odd + errors.connect + errors.read + errors.write + errors.timeout, summary.duration / 1e6,
    percentile(0.5), percentile(0.99)))
end
