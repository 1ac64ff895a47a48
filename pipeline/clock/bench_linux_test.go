package clock

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tsrun/internal/twopcs"
	"tsrun/pipeline/text"
)

// unstamped lets a socket do without the kernel's stamps, as where it gives none.
func unstamped(t testing.TB, s *socket) {
	t.Helper()
	raw, err := s.conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var set error
	if err := raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW, 0) }); err != nil || set != nil {
		t.Fatal(err, set)
	}
	s.stamps = false
}

// BenchmarkProbe compares the clocks of two PCs, which are one in truth, and says how
// far off the offset is, in ns, by so many probes; and how far off it may be.
func BenchmarkProbe(b *testing.B) {
	for _, kernel := range []bool{true, false} {
		b.Run(map[bool]string{true: "kernel", false: "process"}[kernel], func(b *testing.B) {
			for b.Loop() {
				const trials, most = 60, 512
				all := probesOfTwoPCs(b, kernel, trials*most)
				for _, n := range []int{32, 256, most} {
					var off, bounds []int64
					for i := 0; i+most <= len(all); i += most {
						window := all[i : i+n]
						r, ok := read(window, window[n-1].T4)
						if !ok {
							b.Fatal("no reading")
						}
						off, bounds = append(off, text.Magnitude(r.Offset)), append(bounds, r.Bound)
					}
					slices.Sort(off)
					slices.Sort(bounds)
					for _, percent := range []int{50, 99} {
						b.ReportMetric(float64(off[(len(off)-1)*percent/100]), fmt.Sprintf("ns-p%d-of-%d", percent, n))
					}
					b.ReportMetric(float64(bounds[len(bounds)/2]), fmt.Sprintf("ns-bound-of-%d", n))
				}
			}
		})
	}
}

// probesOfTwoPCs are n exchanges between two PCs on one cable, one every 0.4 ms.
func probesOfTwoPCs(b *testing.B, kernel bool, n int) (all []Exchange) {
	here, there := twopcs.New(b)
	ctx, cancel := context.WithCancel(b.Context())
	var working sync.WaitGroup
	defer working.Wait()
	defer cancel()
	var r *Responder
	var p *Prober
	var record bytes.Buffer
	here.Within(b, func() {
		var err error
		if r, err = Listen(here.Address + ":0"); err != nil {
			b.Error(err)
		}
	})
	access, err := r.Admit()
	if err != nil {
		b.Fatal(err)
	}
	there.Within(b, func() {
		if p, err = Dial(here.Address, *access); err != nil {
			b.Error(err)
		}
	})
	if !kernel {
		unstamped(b, r.socket)
		unstamped(b, p.socket)
	}
	p.record = NewRecorder(&record)
	working.Go(func() { _ = r.Run(ctx) })
	working.Go(func() { p.hear(ctx) })
	for range n + n/50 { // some are lost
		p.probe()
		time.Sleep(400 * time.Microsecond)
	}
	p.socket.conn.Close()
	if err := p.record.Close(); err != nil {
		b.Fatal(err)
	}
	in := csv.NewReader(&record)
	in.FieldsPerRecord = -1
	lines, err := in.ReadAll()
	if err != nil {
		b.Fatal(err)
	}
	for _, fields := range lines[1:] {
		times, err := numbers(fields[1:])
		if err != nil {
			b.Fatal(err)
		}
		if stamped := times[4] == 1; stamped == kernel {
			all = append(all, Exchange{times[0], times[1], times[2], times[3]})
		}
	}
	return all
}

// TestWithoutStampsOfTheKernel: the bound holds, and the reading says by which stamps.
func TestWithoutStampsOfTheKernel(t *testing.T) {
	l := newLab(t)
	p := l.prober(t, 0)
	unstamped(t, p.socket)
	l.run(t, p.Run)
	if r := reading(t, p, 2*LeastExchanges); r.KernelStamps || text.Magnitude(r.Offset) > r.Bound || !strings.Contains(r.By(), "processes") {
		t.Errorf("%+v, by %s", r, r.By())
	}
}
