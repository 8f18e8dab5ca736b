-- Uses of points, or reads (arguments: requests.lua); every answer counts, and is timed by wrk.
package.path = (debug.getinfo(1, "S").source:match("@(.*/)") or "") .. "?.lua;" .. package.path
local requests = require("requests")

function init(args) requests.begin(args) end

function request() return requests.next("") end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format('{"requests":%d,"seconds":%f,"refused":%d,"failed":%d,"p50":%f,"p99":%f}\n',
    summary.requests, summary.duration / 1e6, errors.status,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
