// Command triggerbench measures how far apart two nodes fire at one instant, as drivers
// wait for it and as others do, and how far apart their controllers start:
// `make bench-trigger`.
//
// Each node is a process in a network of its own, with a driver and a simulated
// controller that are processes too; the controller says when it began to record. The
// network of the first has the master, whose time the second asks for as a slave does.
// All have one clock in truth, so that what differs is an error.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"tsrun/internal/twopcs"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/text"
	"tsrun/sdk/realtime"
)

// every is the time between two shots, in which a controller starts and stops.
const every = 50 * time.Millisecond

// The ways to fire, and how long before it clocks are compared.
const (
	priority   = "scheduled, priority"
	early      = "priority, compensated" // as trigger.compensation: auto does it
	ordinary   = "scheduled, no priority"
	sleeping   = "`time.Sleep`"
	onReceipt  = "fire on receipt, PUB/SUB"
	byUDP      = "fire on receipt, UDP" // as trigger.fast: udp does it
	timing     = "timing"               // of commands, before the shots
	settleTime = 10 * time.Second
)

func main() {
	shots := flag.Int("shots", 500, "instants for each line of the table")
	role := flag.String("be", "", "be a process of the measurement: master, node, driver, device, busy")
	master := flag.String("master", "", "of a node: what the master said of itself")
	address := flag.String("at", "", "the master's address")
	compares := flag.Bool("compare", false, "of a node: it is on another PC than the master, and compares clocks")
	flag.Parse()
	var err error
	switch *role {
	case "busy":
		err = beBusy()
	case "driver":
		err = beDriver()
	case "device":
		err = beDevice()
	case "master":
		err = beMaster(*address)
	case "node":
		err = beNode(*address, *master, *compares)
	default:
		err = table(*shots)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "triggerbench:", err)
		os.Exit(1)
	}
}

// methods take turns, shot by shot: what else the PC does befalls all of them alike.
var methods = []string{priority, early, ordinary, sleeping, onReceipt, byUDP}

// series is what a process is asked for: shots by methods that take turns, every so
// often from the first on.
type series struct {
	Methods []string      `json:"methods"`
	First   int64         `json:"first"` // ns since 1970, by the master's clock
	Shots   int           `json:"shots"`
	Early   time.Duration `json:"early"` // of one that is compensated; to a driver
}

func (s series) method(i int) string { return s.Methods[i%len(s.Methods)] }

func (s series) instant(i int) int64 { return s.First + int64(i)*every.Nanoseconds() }

// number is that of the order to fire, which grows from series to series.
func (s series) number(i int) uint64 { return uint64(s.instant(i)) }

// shot is when a node fired and when its controller began, in ns since 1970 by the clock
// that all have in truth; 0: it was not ready.
type shot struct {
	Fired int64 `json:"fired"`
	Began int64 `json:"began"`

	Due  int64 `json:"due,omitempty"`  // when it was to fire
	Held *held `json:"held,omitempty"` // of one that has the priority

	Path *fact.CommandPath `json:"path,omitempty"` // of commands that were timed
}

// process is one that answers each line with a line.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

// launch starts this program in a role, and reads the first that it says.
func launch(in []string, says any, args ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args = append(append(append([]string(nil), in...), self), args...)
	p := &process{cmd: exec.Command(args[0], args[1:]...)}
	p.cmd.Stderr = os.Stderr
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.out = json.NewDecoder(out)
	if err := p.out.Decode(says); err != nil {
		p.end()
		return nil, fmt.Errorf("a process ended before it was ready: %w", err)
	}
	return p, nil
}

func (p *process) ask(question any) error { return json.NewEncoder(p.in).Encode(question) }

// end closes the input of a process, which ends it.
func (p *process) end() {
	p.in.Close()
	_ = p.cmd.Wait() // what went wrong it has said
}

func table(shots int) error {
	network, err := twopcs.NewNetwork()
	if err != nil {
		return err
	}
	defer network.Remove()
	a, b, err := network.Two()
	if err != nil {
		return fmt.Errorf("%w; it needs root", err)
	}
	return measure(shots, a, b)
}

// measure makes the processes and measures all lines of the table.
func measure(shots int, a, b twopcs.PC) error {
	var access json.RawMessage
	master, err := launch(a.In, &access, "-be", "master", "-at", a.Address)
	if err != nil {
		return err
	}
	defer master.end()
	all := []*process{master}
	for i, pc := range []twopcs.PC{a, b} {
		args := []string{"-be", "node", "-master", string(access), "-at", a.Address}
		if i > 0 {
			args = append(args, "-compare")
		}
		var ready string
		node, err := launch(pc.In, &ready, args...)
		if err != nil {
			return err
		}
		defer node.end()
		all = append(all, node)
	}
	time.Sleep(settleTime)
	fmt.Printf("at least %d shots a line, every %v, two nodes; %s\n\n", shots, every, processor())
	rows := []string{
		"| load | method | shots | late p50, p99 us | apart p50, p99 us | controllers late p50, p99 us | controllers apart p50, p99 us |",
		"| --- | --- | --- | --- | --- | --- | --- |"}
	for _, load := range loads {
		measured, err := underLoad(all, load, shots)
		if err != nil {
			return err
		}
		rows = append(rows, measured...)
	}
	fmt.Println(strings.Join(rows, "\n"))
	return nil
}

// The loads, one after another. Processors are kept awake about an instant, as a node
// does where it may, but under one of them.
const (
	rest   = "at rest"
	asleep = "at rest, processors sleep"
	busy   = "one core busy"
)

var loads = []string{rest, asleep, busy}

func underLoad(all []*process, load string, shots int) (rows []string, err error) {
	if load != asleep {
		grant, hold := realtime.HoldDMALatency(0)
		if hold == nil {
			fmt.Printf("processors sleep: %s %s; %s\n", grant.Errno, grant.Why, grant.Remedy)
		} else {
			defer hold.Close()
		}
	}
	if load == busy {
		var ready string
		p, err := launch(nil, &ready, "-be", "busy")
		if err != nil {
			return nil, err
		}
		defer p.end()
	}
	return lines(all, load, shots)
}

// timeNodes has the nodes time their commands, one after another as those of a run do, and
// returns how much earlier each is to be fired.
func timeNodes(nodes []*process) (early []time.Duration, err error) {
	var paths []*fact.CommandPath
	for _, p := range nodes {
		var told []shot
		if err := p.ask(series{Methods: []string{timing}, Shots: 1}); err != nil {
			return nil, err
		}
		if err := p.out.Decode(&told); err != nil || len(told) != 1 || told[0].Path == nil {
			return nil, fmt.Errorf("a node does not time its commands: %v", err)
		}
		path := told[0].Path
		paths = append(paths, path)
		early = append(early, time.Duration(path.ThereNs))
		fmt.Printf("the way of a command: %v, known to %v\n", time.Duration(path.ThereNs), time.Duration(path.DoubtNs))
	}
	if way, shared := fact.SharedWay(paths); shared {
		fmt.Printf("both are fired earlier by %v, as they differ by no more than chance does, or one is not known\n", time.Duration(way))
		early = []time.Duration{time.Duration(way), time.Duration(way)}
	}
	return early, nil
}

// lines measures all methods under a load, each a row of the table: the first of all
// processes is the master.
func lines(all []*process, load string, shots int) (rows []string, err error) {
	fmt.Println(load + ":")
	early, err := timeNodes(all[1:])
	if err != nil {
		return nil, err
	}
	shots = (shots + shots/10) * len(methods) // more for those that a node is not ready for
	wanted := series{Methods: methods, First: time.Now().Add(time.Second).UnixNano(), Shots: shots}
	for i, p := range all {
		if wanted.Early = 0; i > 0 {
			wanted.Early = early[i-1]
		}
		if err := p.ask(wanted); err != nil {
			return nil, err
		}
	}
	time0, stolen0 := processorTime()
	var told [3][]shot
	for i, p := range all {
		if err := p.out.Decode(&told[i]); err != nil {
			return nil, err
		}
	}
	if len(told[1]) != shots || len(told[2]) != shots {
		return nil, fmt.Errorf("%d and %d of %d shots", len(told[1]), len(told[2]), shots)
	}
	for _, method := range methods {
		rows = append(rows, line(wanted, load, method, told[1], told[2]))
	}
	time1, stolen1 := processorTime()
	explain(wanted, load, float64(stolen1-stolen0)/float64(max(1, time1-time0)), told[1], told[2])
	return rows, nil
}

// line is what became of the shots of a method, as a row of the table.
func line(wanted series, load, method string, a, b []shot) string {
	var late, apart, begins, beginApart []int64
	for i := range a {
		instant := wanted.instant(i)
		if wanted.method(i) != method || a[i].Fired == 0 || b[i].Fired == 0 {
			continue
		}
		late = append(late, a[i].Fired-instant, b[i].Fired-instant)
		apart = append(apart, text.Magnitude(a[i].Fired-b[i].Fired))
		begins = append(begins, a[i].Began-instant, b[i].Began-instant)
		beginApart = append(beginApart, text.Magnitude(a[i].Began-b[i].Began))
	}
	return fmt.Sprintf("| %s | %s | %d | %s | %s | %s | %s |", load, method, len(apart), us(late), us(apart), us(begins), us(beginApart))
}

// us gives the half and the 99 % of values of ns, in us.
func us(values []int64) string {
	l := realtime.LateOf(values)
	return fmt.Sprintf("%.1f, %.1f", float64(l.P50)/1000, float64(l.P99)/1000)
}

// processor names this PC's processor and how many there are.
func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo") // not known elsewhere
	_, name, _ := strings.Cut(string(text), "model name")
	name, _, _ = strings.Cut(strings.TrimLeft(name, "\t :"), "\n")
	return fmt.Sprintf("%d processors %s", runtime.NumCPU(), name)
}
