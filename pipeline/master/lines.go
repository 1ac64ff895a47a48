package master

import (
	"sync"

	"tsrun/pipeline/run"
)

// lines passes the master's own log lines to the run's log. What is logged
// before there is one is dropped: nothing has happened yet.
type lines struct {
	mu  sync.Mutex
	log *run.Log
}

func (l *lines) to(log *run.Log) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.log = log
}

func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.log == nil {
		return len(line), nil
	}
	return len(line), l.log.AppendRemote("", line)
}
