package recipe

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"tsrun/sdk"
	"tsrun/sdk/quantity"
	"tsrun/sdk/realtime"
)

// Version is the version of the recipe format.
const Version = 1

// Recipe is one checked, resolved experiment: parents merged, variables
// expanded, defaults filled in. Its JSON form is what the master sends a slave
// and what the run directory keeps.
type Recipe struct {
	Version     int             `json:"version"`
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Meta        json.RawMessage `json:"meta,omitempty"` // an object of the user's own
	Network     Network         `json:"network"`
	Nodes       []Node          `json:"nodes"` // in the recipe's order
	Clock       Clock           `json:"clock"`
	Trigger     Trigger         `json:"trigger"`
	Acquire     Acquire         `json:"acquire"`
	Stages      []Stage         `json:"pipeline,omitempty"`
	Sinks       []Sink          `json:"sinks"`
	Live        []Live          `json:"live,omitempty"`         // the sinks of the merged tags: the master's business
	ResultSinks []ResultSink    `json:"result_sinks,omitempty"` // that take what stages find: the master's, too
	Transfer    Transfer        `json:"transfer"`
	Faults      Faults          `json:"faults"`
	Realtime    Realtime        `json:"realtime"`
	Expect      []Expect        `json:"expect,omitempty"`
	Simulate    *Simulate       `json:"simulate,omitempty"`
	OnEnd       *OnEnd          `json:"on_end,omitempty"` // the master's business
}

// Network is what the slaves dial. The master listens on all three ports.
type Network struct {
	Master   string        `json:"master"` // host name or address
	Ports    Ports         `json:"ports"`
	Join     quantity.Time `json:"join"`     // how long the master waits for all nodes
	TLS      string        `json:"tls"`      // auto, on, off
	Insecure bool          `json:"insecure"` // TLS may be off where others reach the master
}

// Secured reports whether the connections have TLS.
func (n Network) Secured() bool {
	return n.TLS == "on" || n.TLS == "auto" && !n.Insecure && !IsLoopback(n.Master)
}

// Exposed reports whether other PCs reach the master without TLS.
func (n Network) Exposed() bool { return n.Insecure && !n.Secured() && !IsLoopback(n.Master) }

// IsLoopback reports whether only this PC reaches a host: by what it is called, no
// name is looked up.
func IsLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// Ports of the master. 0 lets the system choose one (the slaves learn all of
// them from the status port, which only a recipe of local nodes may leave at 0).
type Ports struct {
	Trigger int `json:"trigger"`
	Status  int `json:"status"`
	Files   int `json:"files"`
	Clock   int `json:"clock"` // UDP; the slaves learn it when they join
}

// Node is one PC with its controllers.
type Node struct {
	Name        string       `json:"name"`
	Host        string       `json:"host"` // "local": the master starts it; "remote": a slave joins under this name
	Controllers []Controller `json:"controllers"`
	Channels    []Channel    `json:"channels"` // in the recipe's order; the index is the stream number
}

// Controller is a Time Controller reached through a driver plugin.
type Controller struct {
	Name   string          `json:"name"`
	Driver string          `json:"driver"`
	Config json.RawMessage `json:"config"`
}

// Channel is one named input of a controller.
type Channel struct {
	Name       string            `json:"name"`
	Controller string            `json:"controller"`
	Input      int               `json:"input"`
	Threshold  *quantity.Voltage `json:"threshold,omitempty"` // nil: the inputs have none
	Edge       string            `json:"edge"`                // "rising" or "falling"
	Delay      quantity.Time     `json:"delay"`               // added to each tag by the controller
}

// Microvolts returns the threshold, 0 where there is none.
func (c Channel) Microvolts() int64 {
	if c.Threshold == nil {
		return 0
	}
	return int64(*c.Threshold)
}

// Clock says how the nodes' clocks are compared.
type Clock struct {
	Source    string        `json:"source"`               // "none", "probe", "ptp", "chrony" or "auto"
	MaxOffset quantity.Time `json:"max_offset,omitempty"` // 0: any
	Domain    int           `json:"domain,omitempty"`     // of PTP
	Socket    string        `json:"socket,omitempty"`     // of ptp4l
}

// Trigger says how the controllers start together.
type Trigger struct {
	Master       string                  `json:"master"` // the node that decides the instant
	Method       string                  `json:"method"` // "scheduled", "broadcast" or "hardware"
	Lead         quantity.Time           `json:"lead"`
	Fast         string                  `json:"fast,omitempty"`         // "off", "udp" or "xdp"; "" of a release before it: off
	Compensation map[string]Compensation `json:"compensation,omitempty"` // by node
}

// OnReceipt reports whether each node fires as soon as it has the order.
func (t Trigger) OnReceipt() bool { return t.Method == "broadcast" }

// Datagrams reports whether the order to start also goes by UDP.
func (t Trigger) Datagrams() bool { return t.OnReceipt() && t.wantsDatagrams() }

func (t Trigger) wantsDatagrams() bool { return t.Fast == "udp" || t.PastKernel() }

// PastKernel reports whether nodes take datagrams past their kernel's network, where that
// can be.
func (t Trigger) PastKernel() bool { return t.Fast == "xdp" }

// MaxCompensation is the greatest compensation of a node, either way.
const MaxCompensation = 50 * quantity.Millisecond

// Acquire says how long to measure.
type Acquire struct {
	Duration quantity.Time `json:"duration"`
	Segment  quantity.Time `json:"segment"`
	Repeat   int           `json:"repeat,omitempty"` // shots; 0: one, of a master that does not know it
}

// MaxShots is how many shots a run takes at most.
const MaxShots = 1000

// Shots is how many shots of Duration are taken.
func (a Acquire) Shots() int { return max(a.Repeat, 1) }

// Total is how long all shots record together.
func (a Acquire) Total() quantity.Time {
	return min(a.Duration, math.MaxInt64/quantity.Time(a.Shots())) * quantity.Time(a.Shots())
}

// Sink is an output stage.
type Sink struct {
	Name   string          `json:"name"`
	Sink   string          `json:"sink"`            // plugin
	At     string          `json:"at"`              // "source": on each node, for its own channels
	Takes  []string        `json:"takes,omitempty"` // channels; none means all
	Feeds  string          `json:"feeds,omitempty"` // "stages": they read the tags that this sink keeps
	Config json.RawMessage `json:"config"`
}

// Keeps says whether the sink takes a channel, written node.channel.
func (s Sink) Keeps(channel string) bool {
	return len(s.Takes) == 0 || slices.Contains(s.Takes, channel)
}

// Sources are the sinks that take a channel, in the order in which stages take
// their files of its tags: the one that feeds the stages, then as the recipe
// names them.
func (r *Recipe) Sources(channel string) (names []string) {
	for _, s := range r.Sinks {
		switch {
		case !s.Keeps(channel) || s.At != "source" && !strings.HasPrefix(channel, s.At+"."):
		case s.Feeds != "":
			names = slices.Insert(names, 0, s.Name)
		default:
			names = append(names, s.Name)
		}
	}
	return names
}

// ForNode is the part of the recipe that one node needs.
func (r *Recipe) ForNode(name string) *Recipe {
	part := *r
	part.Nodes = slices.Clone(r.Nodes)
	part.Nodes = slices.DeleteFunc(part.Nodes, func(n Node) bool { return n.Name != name })
	part.Stages, part.Live, part.ResultSinks, part.OnEnd = nil, nil, nil, nil // the master's business
	part.Expect = slices.DeleteFunc(slices.Clone(r.Expect), func(e Expect) bool { return !strings.HasPrefix(e.Channel, name+".") })
	return &part
}

// Transfer says how segments travel to the master.
type Transfer struct {
	Streams    int           `json:"streams"`     // connections
	Chunk      quantity.Size `json:"chunk"`       // on its way unproven, of each
	Compress   string        `json:"compress"`    // "auto" or "none"; "" of a release before it: none
	Verify     string        `json:"verify"`      // "sha256"
	KeepSource string        `json:"keep_source"` // "until_verified" or "always"
}

// Faults says what to do on a bad day.
type Faults struct {
	LostNode  string        `json:"lost_node"`  // "finish": the others go on; "abort", "wait", "restart"
	LostTags  string        `json:"lost_tags"`  // "flag" or "abort"
	Patience  quantity.Time `json:"patience"`   // how long a node may be away
	DiskBelow quantity.Size `json:"disk_below"` // neither start nor record on with less space
}

// OnEnd is what the master executes when a run has ended.
type OnEnd struct {
	Command []string      `json:"command"`
	Timeout quantity.Time `json:"timeout"`
}

// Realtime is what the threads that fire ask of the system. A master that does not
// know it says nothing, and nothing is asked.
type Realtime struct {
	Priority   string         `json:"priority"`    // auto, off, 1 to 99
	Core       string         `json:"core"`        // auto, a number
	LockMemory string         `json:"lock_memory"` // auto, on, off
	DMALatency *quantity.Time `json:"dma_latency,omitempty"`
	BusyPoll   quantity.Time  `json:"busy_poll,omitempty"` // 0: not asked
}

// Settings are what a driver's process asks.
func (r Realtime) Settings() realtime.Settings {
	s := realtime.Settings{LockMemory: r.LockMemory == "auto" || r.LockMemory == "on"}
	if s.Priority, _ = strconv.Atoi(r.Priority); r.Priority == "auto" {
		s.Priority = realtime.DefaultPriority
	}
	if core, err := strconv.Atoi(r.Core); err == nil {
		s.Cores = []int{core}
	}
	return s
}

// Wants reports whether the recipe asks for something by itself, and does not only
// take it where it is granted.
func (r Realtime) Wants(what string) bool {
	switch what {
	case realtime.Priority:
		return r.Priority != "auto"
	case realtime.LockMemory:
		return r.LockMemory != "auto"
	}
	return true
}

// Expect is judged at the end; a miss marks the run and never hides data.
type Expect struct {
	Channel string              `json:"channel"` // "alice.signal"
	RateMin *quantity.Frequency `json:"rate_min,omitempty"`
	RateMax *quantity.Frequency `json:"rate_max,omitempty"`
}

// Limits say which rate is expected; "" where none is.
func (e Expect) Limits() string {
	switch {
	case e.RateMin != nil && e.RateMax != nil:
		return fmt.Sprintf("%s to %s", *e.RateMin, *e.RateMax)
	case e.RateMin != nil:
		return fmt.Sprintf("at least %s", *e.RateMin)
	case e.RateMax != nil:
		return fmt.Sprintf("at most %s", *e.RateMax)
	}
	return ""
}

// Simulate describes the simulated light and the simulated controllers that
// look at it. The controllers of a node share its section.
type Simulate struct {
	sdk.Light
	Nodes map[string]json.RawMessage `json:"nodes"` // as the schema of their plugins has it
}

// Plugins are the names of all drivers and sinks of the recipe, each once.
func (r *Recipe) Plugins() (names []string) {
	for _, n := range r.Nodes {
		for _, c := range n.Controllers {
			names = append(names, c.Driver)
		}
	}
	for _, s := range r.Sinks {
		names = append(names, s.Sink)
	}
	for _, s := range r.ResultSinks {
		names = append(names, s.Sink)
	}
	for _, s := range r.Live {
		if s.Sink != "" {
			names = append(names, s.Sink)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
