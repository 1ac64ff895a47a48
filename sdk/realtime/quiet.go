package realtime

import (
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// settleWithin is how long before an instant there is time for a collection of
// garbage, which may take some ms.
const settleWithin = 100 * time.Millisecond

// quiet is how many want the collector not to begin, and what it was set to before.
var quiet struct {
	sync.Mutex
	wanted, percent int
}

// Quieten keeps the garbage collector from beginning until the function that it
// returns is called. Where the instant is some time ahead, what is there is
// collected first. Meanwhile the process should allocate next to nothing.
func Quieten(left time.Duration) (restore func()) {
	if left > settleWithin {
		runtime.GC()
	}
	quiet.Lock()
	defer quiet.Unlock()
	if quiet.wanted++; quiet.wanted == 1 {
		quiet.percent = debug.SetGCPercent(-1)
	}
	return sync.OnceFunc(func() {
		quiet.Lock()
		defer quiet.Unlock()
		if quiet.wanted--; quiet.wanted == 0 {
			debug.SetGCPercent(quiet.percent)
		}
	})
}
