-- Asks from one home after another: the paths of the file that HOMES names, each thread from a place of its own.
local threads = 0

function setup(thread)
    thread:set("number", threads)
    threads = threads + 1
end

function init()
    paths = {}
    for path in io.lines(os.getenv("HOMES")) do
        paths[#paths + 1] = os.getenv("ROUTE") .. path
    end
    at = number * 997
end

function request()
    at = at % #paths + 1
    return wrk.format("GET", paths[at])
end

function done(summary, latency)
    local failed = summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout
    io.write(string.format("%.0f %.2f %.2f %d\n", summary.requests / summary.duration * 1e6,
        latency:percentile(50) / 1000, latency:percentile(99) / 1000, failed))
end
