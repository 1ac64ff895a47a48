package slave

import (
	"context"
	"time"

	"tsrun/pipeline/run"
)

// diskEvery is how often the disk of the recorded files is looked at while tags come.
const diskEvery = 200 * time.Millisecond

// watchDisk tells the master how much room this node's disk has, and ends the
// recording of this node before faults.disk_below is reached: what is recorded by
// then is whole. On the master's own PC it does nothing: the files are on the
// master's disk, and the master watches it for all.
func (s *session) watchDisk(eq *equipment) {
	if s.node.Host == "local" {
		return
	}
	tick := time.NewTicker(diskEvery)
	defer tick.Stop()
	var filling run.Filling
	for ended := false; ; {
		if free, err := run.FreeSpace(s.dir); err == nil { // a directory that is gone is the sinks' to tell
			disk := filling.Note(free, time.Now())
			s.reporter.setDisk(disk)
			if below := int64(s.recipe.Faults.DiskBelow); !ended && disk.Low(below, 0, run.DiskReaction) {
				ended = true
				eq.reportFailure(run.DiskLow("its disk", s.dir, disk, below, 0), false)
				eq.pumps.Go(func() error { eq.stopDrivers(context.Background()); return nil })
			}
		}
		select {
		case <-eq.recorded:
			return
		case <-tick.C:
		}
	}
}
