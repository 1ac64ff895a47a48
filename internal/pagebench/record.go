package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tsrun/pipeline/run"
)

// bench is a tsrun with the driver of the measurement beside it.
type bench struct {
	program, work string
	seconds       int
}

// newBench builds the driver, and makes a directory in memory where there is one: how fast
// a disk is is not asked.
func newBench(program string, seconds int) (*bench, error) {
	work, err := os.MkdirTemp("/dev/shm", "pagebench-")
	if err != nil {
		if work, err = os.MkdirTemp("", "pagebench-"); err != nil {
			return nil, err
		}
	}
	b := &bench{program: program, work: work, seconds: seconds}
	driver := filepath.Join(work, "plugins", "tc-block")
	build := exec.Command("go", "build", "-o", driver, "tsrun/internal/pagebench/tc-block")
	build.Stderr, build.Env = os.Stderr, append(os.Environ(), "CGO_ENABLED=0")
	if err := build.Run(); err != nil {
		b.close()
		return nil, fmt.Errorf("build the driver: %w", err)
	}
	about, err := exec.Command(driver, "--describe").Output()
	if err == nil {
		err = os.WriteFile(driver+".json", about, 0o644)
	}
	if err != nil {
		b.close()
		return nil, fmt.Errorf("ask the driver what it is: %w", err)
	}
	return b, nil
}

func (b *bench) close() { _ = os.RemoveAll(b.work) }

// recipe has two nodes that see the same light, each half of the tags.
func (b *bench) recipe(rate float64) string {
	var nodes strings.Builder
	for _, name := range []string{"alice", "bob"} {
		fmt.Fprintf(&nodes, `  %s:
    controllers: {tc: {driver: tc-block, config: {rate: %.0f Hz}}}
    channels: {c: {on: tc/1, threshold: 100 mV}}
`, name, rate*1e6/2)
	}
	return fmt.Sprintf(`version: 1
name: page
nodes:
%strigger: {master: alice, lead: 2 s}
acquire: {duration: %d s, segment: 1 s}
pipeline:
  - {stage: align, config: {reference: alice.c, target: bob.c, search: 10 ms}}
sinks: {raw: {sink: sink-file, config: {format: bin}}}
faults: {lost_tags: flag}
`, nodes.String(), b.seconds)
}

// cost is what a recording took.
type cost struct {
	lost        uint64        // tags
	all, master time.Duration // of processors, from its begin until all files are with the master
}

// stages of a run that are waited for, and its last event.
type told struct {
	Event, State, Directory string
}

// record makes a run, with its page or without.
func (b *bench) record(rate float64, page bool) (c cost, err error) {
	dir, err := os.MkdirTemp(b.work, "run-")
	if err != nil {
		return c, err
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, "page.yaml"), []byte(b.recipe(rate)), 0o644); err != nil {
		return c, err
	}
	args := []string{"page.yaml", "--json", "--plugin-dir", filepath.Join(b.work, "plugins")}
	for _, port := range []string{"trigger", "status", "files"} {
		args = append(args, "--set", "network.ports."+port+"=0")
	}
	if page {
		args = append(args, "--web=127.0.0.1:0")
	}
	cmd := exec.Command(b.program, args...)
	var said bytes.Buffer
	var reader sync.WaitGroup
	cmd.Dir = dir
	out, err := cmd.StdoutPipe()
	if err != nil {
		return c, err
	}
	words, err := cmd.StderrPipe()
	if err != nil {
		return c, err
	}
	if err := cmd.Start(); err != nil {
		return c, err
	}
	reader.Go(func() {
		for lines := bufio.NewScanner(words); lines.Scan(); {
			fmt.Fprintln(&said, lines.Text())
			if address, found := strings.CutPrefix(lines.Text(), "page: "); found {
				address, _, _ = strings.Cut(address, "/#")
				reader.Go(func() { look(address) })
			}
		}
	})
	found := c.follow(cmd.Process.Pid, out)
	reader.Wait()
	failed := cmd.Wait()
	if c.lost, err = lostIn(filepath.Join(dir, found.Directory)); err != nil || c.all <= 0 {
		return c, fmt.Errorf("the run tells nothing: %w, %w\n%s", err, failed, said.String())
	}
	return c, nil
}

// follow reads a run's events and notes what processors had done when it began to record
// and when all its files were with the master; it returns the last of them.
func (c *cost) follow(pid int, out io.Reader) (last told) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 64<<20)
	var before cost
	for lines.Scan() {
		var e told
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		switch last = e; {
		case e.Event == "state" && e.State == "running":
			before = spent(pid)
		case e.Event == "state" && e.State == "analysing":
			after := spent(pid)
			c.all, c.master = after.all-before.all, after.master-before.master
		}
	}
	return last
}

// look reads the stream of a page to its end, and its numbers once a second, as a browser
// and Prometheus do.
func look(address string) {
	client := &http.Client{}
	defer client.CloseIdleConnections()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		answer, err := client.Get(address + "/events")
		if err != nil {
			return
		}
		defer answer.Body.Close()
		_, _ = io.Copy(io.Discard, answer.Body) // to its end, or that of the run
	}()
	for {
		select {
		case <-ended:
			return
		case <-time.After(time.Second):
		}
		if answer, err := client.Get(address + "/metrics"); err == nil {
			_, _ = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
		}
	}
}

// lostIn are the tags that a run says are lost, and those that are in no proven file.
func lostIn(dir string) (lost uint64, err error) {
	m, err := run.ReadManifest(dir)
	if err != nil {
		return 0, err
	}
	tags, proven := uint64(0), uint64(0)
	for _, n := range m.Nodes {
		for _, c := range n.Channels {
			tags, lost = tags+c.Tags, lost+c.Lost
		}
	}
	for _, s := range m.Segments {
		if s.Verified {
			proven += s.Tags
		}
	}
	if tags == 0 {
		return 0, fmt.Errorf("nothing was recorded")
	}
	return lost + tags - min(tags, proven), nil
}
