// Command triggerbench measures how far apart two processes of this PC fire at one
// instant, as drivers wait for it and as others do: `make bench-trigger`.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"tsrun/sdk/realtime"
)

const every = 5 * time.Millisecond

func main() {
	shots := flag.Int("shots", 500, "instants for each line of the table")
	method := flag.String("fire", "", "be a process that fires, by this method")
	first := flag.Int64("first", 0, "its first instant, ns since 1970")
	spin := flag.Bool("spin", false, "be a process that keeps a core busy")
	flag.Parse()
	var err error
	switch {
	case *spin:
		for n := 0; ; n++ { // until it is killed
			runtime.KeepAlive(n)
		}
	case *method != "":
		err = json.NewEncoder(os.Stdout).Encode(fire(*method, *first, *shots))
	default:
		err = table(*shots)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "triggerbench:", err)
		os.Exit(1)
	}
}

// fire waits for instants and returns when each was reached, ns since 1970.
func fire(method string, first int64, shots int) []int64 {
	runtime.LockOSThread()
	s := realtime.Settings{LockMemory: method == "priority"}
	if method == "priority" {
		s.Priority = realtime.DefaultPriority
	}
	s.Probe() // locks memory
	defer realtime.Quieten(time.Second)()
	defer s.Enter()()
	at := make([]int64, 0, shots)
	for i := range shots {
		instant := first + int64(i)*every.Nanoseconds()
		if method == "time.Sleep" {
			time.Sleep(time.Until(time.Unix(0, instant)))
			at = append(at, realtime.ReadClock().Real)
			continue
		}
		clock, err := realtime.Await(context.Background(), instant)
		if err != nil {
			break
		}
		at = append(at, clock.Real+realtime.Monotonic()-clock.Mono)
	}
	return at
}

func table(shots int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	fmt.Printf("%d shots a line, every %v, two processes; %s\n\n", shots, every, processor())
	fmt.Println("| load | method | late p50, p99 us | apart p50, p99 us |")
	fmt.Println("| --- | --- | --- | --- |")
	for _, load := range []string{"at rest", "one core busy"} {
		var busy *exec.Cmd
		if load != "at rest" {
			busy = exec.Command(self, "-spin")
			if err := busy.Start(); err != nil {
				return err
			}
		}
		for _, method := range []string{"priority", "no priority", "time.Sleep"} {
			if err = line(self, load, method, shots); err != nil {
				break
			}
		}
		if busy != nil {
			_ = busy.Process.Kill()
			_ = busy.Wait()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// line measures two processes that fire at the same instants.
func line(self, load, method string, shots int) error {
	first := time.Now().Add(time.Second).UnixNano()
	var out [2]bytes.Buffer
	var processes [2]*exec.Cmd
	for i := range processes {
		processes[i] = exec.Command(self, "-fire", method, "-first", fmt.Sprint(first), "-shots", fmt.Sprint(shots))
		processes[i].Stdout, processes[i].Stderr = &out[i], os.Stderr
		if err := processes[i].Start(); err != nil {
			return err
		}
	}
	var at [2][]int64
	for i, p := range processes {
		if err := p.Wait(); err != nil {
			return err
		}
		if err := json.Unmarshal(out[i].Bytes(), &at[i]); err != nil {
			return err
		}
	}
	var late, apart []int64
	for i := range min(len(at[0]), len(at[1])) {
		instant := first + int64(i)*every.Nanoseconds()
		late = append(late, at[0][i]-instant, at[1][i]-instant)
		apart = append(apart, max(at[0][i]-at[1][i], at[1][i]-at[0][i]))
	}
	l, a := realtime.LateOf(late), realtime.LateOf(apart)
	us := func(ns int64) float64 { return float64(ns) / 1000 }
	fmt.Printf("| %s | %s | %.1f, %.1f | %.1f, %.1f |\n", load, method, us(l.P50), us(l.P99), us(a.P50), us(a.P99))
	return nil
}

// processor names this PC's processor and how many there are.
func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo") // not known elsewhere
	_, name, _ := strings.Cut(string(text), "model name")
	name, _, _ = strings.Cut(strings.TrimLeft(name, "\t :"), "\n")
	return fmt.Sprintf("%d processors %s", runtime.NumCPU(), name)
}
