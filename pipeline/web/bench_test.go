package web

import (
	"encoding/json"
	"fmt"
	"io"
	"syscall"
	"testing"

	"tsrun/pipeline/run/runtest"
)

// spent is the processor time of this process in ms.
func spent() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e6
}

// What a page costs does not depend on how many tags there are: a second of events, the
// four views of it that are made at most, what one browser is told of them, and numbers
// for Prometheus.
func BenchmarkSecondOfAPage(b *testing.B) {
	board := newBoard(runtest.TwoNodes())
	board.hour(0)
	old, err := board.look(at(3600))
	if err != nil {
		b.Fatal(err)
	}
	begun := spent()
	for s := 0; b.Loop(); s++ {
		for quarter := range uint64(4) {
			for _, node := range []string{"alice", "bob"} {
				p := progress(node, uint64(3600+s)*1000+quarter, uint64(3600+s))
				board.tell(3600+s, p)
			}
			board.tell(3600+s, syncOf("bob.idler", int64(s)))
			v, err := board.look(at(3600 + s))
			if err != nil {
				b.Fatal(err)
			}
			text, err := json.Marshal(v.since(old))
			if err != nil {
				b.Fatal(err)
			}
			old = v
			fmt.Fprint(io.Discard, text)
		}
		if err := writeMetrics(io.Discard, old.metrics); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((spent()-begun)/float64(b.N), "cpu-ms/op")
}
