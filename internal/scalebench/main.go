// Command scalebench measures what a master costs against the number of its nodes:
// `make bench-scale`. Nodes are processes of this PC with simulated controllers.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tsrun/internal/manynodes"
)

func main() {
	program := flag.String("program", "bin/tsrun", "the tsrun that is measured, its plugins beside it")
	counts := flag.String("nodes", "2,5,10,20", "how many")
	seconds := flag.Int("seconds", 8, "length of the acquisition")
	flag.Parse()
	if err := table(*program, *counts, *seconds); err != nil {
		fmt.Fprintln(os.Stderr, "scalebench:", err)
		os.Exit(1)
	}
}

func table(program, counts string, seconds int) error {
	program, err := filepath.Abs(program)
	if err != nil {
		return err
	}
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Printf("%d processors %s; load before: %s\n\n", runtime.NumCPU(), processor(), strings.Fields(string(load) + " - ")[0])
	fmt.Println("| nodes | condition | wall s | to the end of the transfer | master's CPU s till then | analysing, CPU s | master's memory MiB | fds | of these sockets | threads | CPU s of all processes |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	for text := range strings.SplitSeq(counts, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 2 {
			return fmt.Errorf("--nodes %s: %q is no number of at least 2 nodes", counts, text)
		}
		c, err := measure(program, manynodes.Ring{Nodes: n, Seconds: seconds, Align: true})
		if err != nil {
			return fmt.Errorf("%d nodes: %w", n, err)
		}
		fmt.Printf("| %d | %s | %.1f | %.1f | %.2f | %.2f | %d | %d | %d | %d | %.1f |\n", n, strings.Join(c.condition, " "), c.wall.Seconds(), c.received.Seconds(),
			c.cpuReceived.Seconds(), (c.cpu - c.cpuReceived).Seconds(), c.memory>>20, c.fds, c.sockets, c.threads, c.all.Seconds())
	}
	return nil
}

// cost is what a run took: of the master's process, the most at any time.
type cost struct {
	condition             []string
	wall, received        time.Duration // to the end; until all files were with the master
	cpu, cpuReceived, all time.Duration
	memory                int64 // bytes
	fds, sockets, threads int
}

// measure makes a run and looks at its master meanwhile.
func measure(program string, ring manynodes.Ring) (c cost, err error) {
	work, err := os.MkdirTemp("", "scalebench-")
	if err != nil {
		return c, err
	}
	defer os.RemoveAll(work)
	recipe := filepath.Join(work, "ring.yaml")
	if err := os.WriteFile(recipe, []byte(ring.Recipe()), 0o644); err != nil {
		return c, err
	}
	var said bytes.Buffer
	cmd := exec.Command(program, recipe, "--json", "--set", "network.ports.trigger=0", "--set", "network.ports.status=0", "--set", "network.ports.files=0")
	cmd.Dir, cmd.Stderr = work, &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		return c, err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return c, err
	}
	analyses, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			if announces(lines.Bytes(), "analysing") {
				close(analyses)
			}
		}
	}()
	c.watch(cmd.Process.Pid, began, analyses, ended)
	err = cmd.Wait()
	c.wall = time.Since(began)
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok { // with all children that it has waited for
		c.all = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	if c.condition, err = conditionOf(work, err); err != nil {
		return c, fmt.Errorf("%w\n%s", err, said.Bytes())
	}
	return c, nil
}

// announces says whether an event is that a run has come to a state.
func announces(line []byte, state string) bool {
	var e struct{ Event, State string }
	return json.Unmarshal(line, &e) == nil && e.Event == "state" && e.State == state
}

// conditionOf reads how a run ended; failed is what its process said.
func conditionOf(work string, failed error) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(work, "runs", "latest", "manifest.json"))
	if err != nil {
		return nil, errors.Join(failed, err)
	}
	var m struct {
		Condition []string `json:"condition"`
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(m.Condition, func(s string) bool { return s == "SIMULATED" }), nil
}

// watch looks at a process until its output ends.
func (c *cost) watch(pid int, began time.Time, analyses, ended <-chan struct{}) {
	const every = 50 * time.Millisecond
	for {
		select {
		case <-ended:
			return
		case <-analyses:
			c.look(pid)
			c.received, c.cpuReceived, analyses = time.Since(began), c.cpu, nil
		case <-time.After(every):
			c.look(pid)
		}
	}
}

// look notes what /proc says of a process; one that has ended says nothing.
func (c *cost) look(pid int) {
	dir := fmt.Sprintf("/proc/%d", pid)
	if text, err := os.ReadFile(dir + "/stat"); err == nil {
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		const utime, stime, threads, ticks = 11, 12, 17, 100 // of proc_pid_stat(5), less those before; USER_HZ
		if len(fields) > threads && fields[0] != "Z" {
			c.cpu = time.Duration(number(fields[utime])+number(fields[stime])) * time.Second / ticks
			c.threads = max(c.threads, int(number(fields[threads])))
		}
	}
	if text, err := os.ReadFile(dir + "/status"); err == nil {
		if _, peak, ok := strings.Cut(string(text), "VmHWM:"); ok {
			c.memory = max(c.memory, number(strings.Fields(peak)[0])<<10)
		}
	}
	open, err := os.ReadDir(dir + "/fd")
	if err != nil {
		return
	}
	sockets := 0
	for _, f := range open {
		if to, err := os.Readlink(filepath.Join(dir, "fd", f.Name())); err == nil && strings.HasPrefix(to, "socket:") {
			sockets++
		}
	}
	c.fds, c.sockets = max(c.fds, len(open)), max(c.sockets, sockets)
}

func number(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64) // of the kernel
	return n
}

func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo") // not known elsewhere
	_, name, _ := strings.Cut(string(text), "model name")
	name, _, _ = strings.Cut(strings.TrimLeft(name, "\t :"), "\n")
	return name
}
