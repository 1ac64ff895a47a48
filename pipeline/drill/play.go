package drill

import (
	"context"
	"sync"
	"time"

	"tsrun/sdk/instrument"
)

// Outcomes of a fault of a plan.
const (
	wasDone    = "done"
	notReached = "not reached" // the run was over, or never in that state
	notThere   = "not there"   // what it is done to did not run just then
)

// Done is a fault of a plan, and whether it was done.
type Done struct {
	Fault
	Outcome string `json:"outcome"` // done, not reached, not there
}

// play does the faults of a plan, each when the run is in its state, until the
// run is over, and mends them. It returns when nothing of that goes on.
func (b *bench) play(over context.Context, plan []Fault) []Done {
	done := make([]Done, len(plan))
	var playing sync.WaitGroup
	for i, f := range plan {
		done[i] = Done{f, notReached}
		playing.Go(func() {
			if b.await(over, f) {
				done[i].Outcome = b.do(over, f)
			}
		})
	}
	playing.Wait()
	return done
}

// await waits for the moment of a fault.
func (b *bench) await(over context.Context, f Fault) bool {
	select {
	case <-b.marks.at(f.moment()):
	case <-over.Done():
		return false
	}
	return instrument.Pause(over, f.After)
}

// do does one fault, and mends it after its time or when the run is over.
func (b *bench) do(over context.Context, f Fault) string {
	switch f.Kind {
	case Cut:
		b.links[f.Target.Node].cut(f.How)
		defer b.links[f.Target.Node].mend()
		instrument.Pause(over, f.For)
		return wasDone
	case Slow:
		b.links[f.Target.Node].slow(f.How, f.Amount)
		defer b.links[f.Target.Node].mend()
		instrument.Pause(over, f.For)
		return wasDone
	case Disk:
		return b.fillDisk(over, f)
	}
	pid := b.seek(over, f.Target)
	if f.Kind == Stop {
		if stop(pid) != nil {
			return notThere
		}
		defer func() { _ = cont(pid) }() // it may be gone
		instrument.Pause(over, f.For)
		return wasDone
	}
	if kill(pid) != nil {
		return notThere
	}
	if b.links[f.Target.Node] != nil && f.Target.Role == roleSlave && instrument.Pause(over, f.For) {
		if err := b.startSlave(f.Target.Node); err != nil {
			return err.Error()
		}
	}
	return wasDone
}

// seekFor is how long a process is waited for that does not run just then: one that
// was killed is started anew within it.
const seekFor = 2*longestRestart + time.Second

// seek finds the process of a target, as soon as it runs; 0: it does not.
func (b *bench) seek(over context.Context, t Target) int {
	for end := time.Now().Add(seekFor); ; {
		if pid := b.find(t); pid != 0 || time.Now().After(end) || !instrument.Pause(over, 50*time.Millisecond) {
			return pid
		}
	}
}

// fillDisk lets no file grow of what a disk holds: the master's is written by the
// master, a node's by its slave and its sinks.
func (b *bench) fillDisk(over context.Context, f Fault) string {
	targets := []Target{f.Target}
	if f.Target.Role == roleSlave {
		for _, t := range targetsOf(b.recipe) {
			if t.Role == roleSink && t.Node == f.Target.Node {
				targets = append(targets, t)
			}
		}
	}
	outcome := notThere
	for _, t := range targets {
		pid := b.seek(over, t)
		if limitFiles(pid, f.Amount) == nil {
			outcome = wasDone
			defer func() { _ = limitFiles(pid, -1) }() // it may be gone
		}
	}
	if outcome == wasDone {
		instrument.Pause(over, f.For)
	}
	return outcome
}
