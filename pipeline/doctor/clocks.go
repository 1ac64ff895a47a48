package doctor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tsrun/pipeline/clock"
)

// services steer a clock. The names are those of processes, which the kernel cuts
// after 15 characters.
var services = map[string]string{
	"chronyd": "NTP", "ntpd": "NTP", "ntpd-rs": "NTP", "openntpd": "NTP", "systemd-timesyn": "NTP",
	"phc2sys": "PTP", "ptp4l": "PTP", "ts2phc": "PTP", "sptp": "PTP", "timemaster": "PTP",
}

// running lists the services that run on this PC, each once.
func running() (names []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/comm") // the pattern is right
	for _, file := range files {
		text, err := os.ReadFile(file)
		if name := strings.TrimSpace(string(text)); err == nil && services[name] != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func clocks(ctx context.Context, _ Options) []Finding {
	return append([]Finding{steered(running()), synchronised()}, comparison(ctx))
}

// steered says who steers this PC's clock.
func steered(names []string) Finding {
	f := Finding{About: "clock", What: "services", State: Good, Measured: "none runs", Wanted: "at most one that steers this PC's clock",
		Why: "two of them pull one clock to and fro"}
	if len(names) > 0 {
		f.Measured = strings.Join(names, ", ")
	}
	var ntp []string
	for _, n := range names {
		if services[n] == "NTP" {
			ntp = append(ntp, n)
		}
	}
	has := func(name string) bool { return slices.Contains(names, name) }
	switch {
	case len(names) == 0:
		f.Wanted, f.Why, f.Do = "one", "the clock runs free", "nothing, where clock.source is probe or auto; else run chrony, or ptp4l with phc2sys"
	case len(ntp) > 1:
		f.State, f.Do = Notable, "end all but one of "+strings.Join(ntp, ", ")+": systemctl disable --now NAME"
	case len(ntp) > 0 && has("timemaster"):
		f.Measured += " (timemaster starts both and keeps them apart)"
	case len(ntp) > 0 && has("phc2sys"):
		f.State, f.Do = Notable, "NTP and PTP both steer this clock: systemctl disable --now "+ntp[0]+", or start phc2sys with -E ntpshm and let chrony read that"
	case len(ntp) > 0 && has("ptp4l"):
		f.State, f.Do = Notable, "ptp4l with time stamps of software steers this clock as "+ntp[0]+" does: end one of them, or set free_running 1 in ptp4l.conf"
	case has("ptp4l") && !has("phc2sys") && !has("timemaster"):
		f.Why, f.Do = "ptp4l with time stamps of hardware steers the card's clock alone", "start phc2sys -a -rr, so that this PC's clock follows"
	}
	return f
}

// comparison compares this PC's clock with itself, over its own network, as two PCs
// compare theirs.
func comparison(ctx context.Context) Finding {
	f := Finding{About: "clock", What: "time stamps", State: Good, Wanted: "of the kernel", Why: "with those of processes clocks are compared 50 times worse"}
	unable := func(err error) Finding {
		f.State, f.Measured, f.Do = Notable, err.Error(), "see whether a firewall keeps UDP from this PC's own addresses"
		return f
	}
	responder, err := clock.Listen("127.0.0.1:0")
	if err != nil {
		return unable(err)
	}
	defer responder.Close()
	access, err := responder.Admit()
	if err != nil {
		return unable(err)
	}
	prober, err := clock.Dial("127.0.0.1", *access)
	if err != nil {
		return unable(err)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	go responder.Run(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = prober.Run(ctx) }() // ends with ctx
	<-ended
	r, ok := prober.Reading()
	if !ok {
		return unable(fmt.Errorf("the clock could not be compared with itself over UDP"))
	}
	f.Measured = fmt.Sprintf("of the kernel; a clock is known to %s on this PC's own network", micro(r.Bound))
	if !r.KernelStamps {
		f.State, f.Measured = Notable, fmt.Sprintf("of processes; a clock is known to %s", micro(r.Bound))
		f.Do = clock.StampsHint
	}
	return f
}
