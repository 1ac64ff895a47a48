package doctor

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tsrun/pipeline/recipe"
	"tsrun/sdk/quantity"
	"tsrun/sdk/realtime"
)

const (
	waits     = 300 // for instants, of which it is measured how late they end
	waitEvery = 3 * time.Millisecond
	// lateP99 is how late the slowest of a hundred starts may be on a PC that does well.
	lateP99 = 100 * time.Microsecond
)

// settings are what the recipe asks for, or what every recipe does.
func (o Options) settings() recipe.Realtime {
	if o.Run.Recipe != nil {
		return o.Run.Recipe.Recipe.Realtime
	}
	return recipe.Realtime{Priority: "auto", Core: "auto", LockMemory: "auto"}
}

var whyGranted = map[string]string{
	realtime.Priority:   "without it a start waits for whatever else runs on its core",
	realtime.Core:       "the thread that fires keeps to it",
	realtime.LockMemory: "without it a page may have to come from the disk at the instant",
	realtime.DMALatency: "a processor that sleeps takes long to wake, that of a virtual machine some ms",
	realtime.BusyPoll:   "a datagram need not wake a thread",
}

// privileges asks for what the thread that fires asks for, and measures how late it is.
func privileges(ctx context.Context, o Options) (found []Finding) {
	asked := o.settings()
	grants := asked.Settings().Probe()
	latency := quantity.Time(0) // about the instant, where the recipe says nothing
	if asked.DMALatency != nil {
		latency = *asked.DMALatency
	}
	grant, hold := realtime.HoldDMALatency(latency.Duration().Microseconds())
	if hold != nil {
		hold.Close()
	}
	grants = append(grants, grant)
	if us := asked.BusyPoll.Duration().Microseconds(); us > 0 {
		grants = append(grants, polls(int(us)))
	}
	for _, g := range grants {
		f := Finding{About: "privileges", What: "realtime." + g.What, State: Good, Measured: "granted", Wanted: g.Asked, Why: whyGranted[g.What], Do: g.Remedy}
		switch {
		case !g.Granted:
			f.State, f.Measured = Notable, strings.TrimSpace("refused: "+g.Errno+" "+g.Why)
		case g.Got != "":
			f.Measured = "granted: " + g.Got
		}
		found = append(found, f)
	}
	return append(found, firing(ctx, asked.Settings()), governor())
}

// polls asks the kernel to poll for datagrams of a socket that is closed again.
func polls(us int) realtime.Grant {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return realtime.Grant{What: realtime.BusyPoll, Asked: fmt.Sprintf("%d us", us), Why: err.Error()}
	}
	defer conn.Close()
	return realtime.PollBusily(conn, us)
}

func firing(ctx context.Context, s realtime.Settings) Finding {
	ctx, cancel := context.WithTimeout(ctx, within/2)
	defer cancel()
	late := s.Measure(ctx, waits, waitEvery)
	f := Finding{About: "privileges", What: "firing", State: Good,
		Measured: fmt.Sprintf("%s late at p50, %s at p99, %s at most, of %d waits", micro(late.P50), micro(late.P99), micro(late.Max), late.Shots),
		Wanted:   "at most " + micro(lateP99.Nanoseconds()) + " at p99", Why: "so late after its instant a controller is fired"}
	if late.P99 > lateP99.Nanoseconds() {
		f.State = Notable
		f.Do = "get the real-time priority, end what else keeps this PC busy; in a virtual machine others may take its time"
	}
	return f
}

func micro(ns int64) string { return fmt.Sprintf("%.1f us", float64(ns)/1000) }

// governor looks at how the processors change their frequency.
func governor() Finding {
	f := Finding{About: "privileges", What: "governor", State: Good, Wanted: "performance", Why: "a processor that slows down takes longer to wake"}
	files, _ := filepath.Glob("/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor") // the pattern is right
	var seen []string
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil {
			if word := strings.TrimSpace(string(text)); !slices.Contains(seen, word) {
				seen = append(seen, word)
			}
		}
	}
	switch {
	case len(seen) == 0:
		f.Measured = "the system changes no frequencies (a virtual machine?)"
	default:
		if f.Measured = strings.Join(seen, ", "); f.Measured != "performance" {
			f.State, f.Do = Notable, "cpupower frequency-set -g performance, as root"
		}
	}
	return f
}
