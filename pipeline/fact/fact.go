// Package fact holds what a node tells once about a run. Each fact has one type
// on its whole way, and one form in JSON:
//
//	plugin ── gRPC ──▶ host ──▶ slave ── wire.News ──▶ master ──▶ run.Manifest
//	                             └──▶ event.Event         └──▶ event.Event
//
// The types that plugin authors use are those of the SDK; package host turns
// them into facts.
package fact

import (
	"strings"
	"time"

	"tsrun/sdk"
)

// Plugin identifies a plugin program and the process that ran it.
type Plugin struct {
	Version string `json:"version,omitempty"`
	SHA256  string `json:"sha256,omitempty"` // of the program
	PID     int    `json:"pid,omitempty"`
	Confinement
}

// Confinement says whether a program or a thread may write to its own places only,
// which was tried.
type Confinement struct {
	Confined   bool   `json:"confined,omitempty"`
	Unconfined string `json:"unconfined,omitempty"` // why it is not
}

// Device is what a controller said it is.
type Device struct {
	Vendor       string `json:"vendor,omitempty"`
	Model        string `json:"model,omitempty"`
	Serial       string `json:"serial,omitempty"`
	Firmware     string `json:"firmware,omitempty"`
	Identity     string `json:"identity,omitempty"` // whole identification text
	ResolutionPs int64  `json:"resolution_ps,omitempty"`
	MaxRateHz    int64  `json:"max_rate_hz,omitempty"` // tags per second over all inputs
	Simulated    bool   `json:"simulated"`
}

// Name is how the device names itself.
func (d Device) Name() string {
	if d.Identity != "" {
		return d.Identity
	}
	return strings.Join(strings.Fields(d.Vendor+" "+d.Model+" "+d.Serial), " ")
}

// Shot is one firing: the device began between Called and Returned. All are
// nanoseconds since 1970 of the node's clock.
type Shot struct {
	Asked    int64 `json:"asked"`
	Called   int64 `json:"called"`
	Returned int64 `json:"returned"`
	Late     bool  `json:"late,omitempty"` // the instant had passed before the device could be started
	// CompensationNs is how much earlier than the node the controller was fired; absent:
	// as the recipe says.
	CompensationNs *int64 `json:"compensation_ns,omitempty"`
	// BackNs is how long the answer of the device takes, where it answers once it has
	// begun: so it began that much before Returned.
	BackNs *int64 `json:"back_ns,omitempty"`
}

// Heard says how the order to start came to a node that fires as soon as it has it. It
// travels over several ways, and the first copy counts.
type Heard struct {
	Shot int    `json:"shot"`  // from 1
	By   string `json:"by"`    // the way of the first copy: ByPub, ByUDP, ByXDP or ByAnswer
	AtNs int64  `json:"at_ns"` // when that came, Unix time of the node's clock
	// LaterNs is how much later the copies of the other ways came, by way; those that came
	// after the shot was over are not known.
	LaterNs map[string]int64 `json:"later_ns,omitempty"`
	// Dropped are the datagrams that started nothing, since the node joined; nil: it
	// listens to none.
	Dropped *Dropped `json:"dropped,omitempty"`
}

// The ways of an order to a node.
const (
	ByPub    = "pub"    // published on the trigger port
	ByUDP    = "udp"    // as a datagram
	ByXDP    = "xdp"    // as a datagram, past the kernel's network
	ByAnswer = "answer" // with the answer to a report
)

// Plausible reports whether it can be what a node has heard.
func (h *Heard) Plausible() bool {
	way := func(w string) bool { return w == ByPub || w == ByUDP || w == ByXDP || w == ByAnswer }
	for w, later := range h.LaterNs {
		if !way(w) || later < 0 {
			return false
		}
	}
	return way(h.By) && h.Shot > 0
}

// Dropped counts datagrams that started nothing.
type Dropped struct {
	Malformed uint64 `json:"malformed,omitempty"` // of another form: cut, too long, of another program
	Forged    uint64 `json:"forged,omitempty"`    // without the code of the master
	Stale     uint64 `json:"stale,omitempty"`     // older than the newest message of the master by more than a second
	Again     uint64 `json:"again,omitempty"`     // an order that had come by the same way before
}

// All is how many there were.
func (d Dropped) All() uint64 { return d.Malformed + d.Forged + d.Stale + d.Again }

// CommandPath is how long commands take to a device, as its driver has measured it.
type CommandPath struct {
	Questions   int    `json:"questions"`     // that were asked
	RoundTripNs int64  `json:"round_trip_ns"` // one in ten took less
	SpreadNs    int64  `json:"spread_ns"`     // half of what the middle two of three differ by
	ThereNs     int64  `json:"there_ns"`      // of it, until the device has the command: one in ten took less
	DoubtNs     int64  `json:"doubt_ns"`      // ThereNs is off by at most this, by what the questions differ
	SplitBy     string `json:"split_by"`      // who says so: SplitHalf or SplitDevice
}

// Known reports whether the way of a command is known better than nothing: what is
// taken off for it is more than that may be off by.
func (p CommandPath) Known() bool { return p.DoubtNs < p.ThereNs }

// Plausible reports whether a path can have been measured.
func (p CommandPath) Plausible() bool {
	return p.ThereNs >= 0 && p.ThereNs <= p.RoundTripNs && p.RoundTripNs <= longestTrip && p.DoubtNs >= 0 && p.DoubtNs <= longestTrip
}

// longestTrip is longer than any question is waited for, in ns.
const longestTrip = int64(3600e9)

// SharedWay returns what all controllers are fired earlier by alike, whose commands were
// timed: 0 where the way of one is not known (nil), since nodes that are all late begin
// nearer to each other than one that is late beside others that are not; and the mean
// where their ways differ by no more than chance does. shared is false where they differ,
// and each is fired earlier by its own.
func SharedWay(paths []*CommandPath) (ns int64, shared bool) {
	if len(paths) == 0 {
		return 0, false
	}
	sum := int64(0)
	least, most := paths[0], paths[0]
	for _, p := range paths {
		if p == nil || !p.Known() {
			return 0, true
		}
		if p.ThereNs < least.ThereNs {
			least = p
		}
		if p.ThereNs > most.ThereNs {
			most = p
		}
		sum += p.ThereNs
	}
	if most.ThereNs-least.ThereNs > 2*(least.DoubtNs+most.DoubtNs) {
		return 0, false
	}
	return sum / int64(len(paths)), true
}

// Who divides a round trip.
const (
	SplitHalf   = "half"   // nobody: half of it is taken
	SplitDevice = "device" // its answers
)

// Compensation is how much earlier than the instant a controller is fired, and who
// says so.
type Compensation struct {
	UsedNs     int64  `json:"used_ns"`
	RecipeNs   int64  `json:"recipe_ns"`             // of it, what the recipe says
	MeasuredNs *int64 `json:"measured_ns,omitempty"` // of it, what was measured before the run
	Alike      bool   `json:"alike,omitempty"`       // the ways of all differ by no more than chance does: their mean is used
	By         string `json:"by"`                    // ByRecipe, ByMeasurement, ByBoth or ByNothing
	// Path is what was measured, and Why says why nothing was where the recipe asks for it.
	Path *CommandPath `json:"path,omitempty"`
	Why  string       `json:"why,omitempty"`
}

// Shared is the compensation where all whose commands were timed are fired earlier alike,
// by so much; 0: none by what was measured, as that of one is not known.
func (c Compensation) Shared(ns, most int64) Compensation {
	switch {
	case c.MeasuredNs == nil:
		return c
	case ns > 0:
		ns = min(ns, most)
		c.MeasuredNs, c.Alike = &ns, true
		c.UsedNs = min(max(ns+c.RecipeNs, -most), most)
		return c
	}
	c.UsedNs, c.MeasuredNs, c.By = c.RecipeNs, nil, ByRecipe
	if c.RecipeNs == 0 {
		c.By = ByNothing
	}
	c.Why = "that of another controller is not known"
	return c
}

// Who says how large a compensation is.
const (
	ByRecipe      = "recipe"
	ByMeasurement = "measurement"
	ByBoth        = "measurement and recipe"
	ByNothing     = "nothing"
)

// Loss is one gap: tags of a channel that are known to be missing.
type Loss struct {
	AtPs     uint64 `json:"at_ps"`
	Tags     uint64 `json:"tags"`
	LengthPs uint64 `json:"length_ps,omitempty"` // for so long nothing was recorded at all; 0: the record went on
	Why      string `json:"why"`
}

// Restart says that the controllers of a node were started anew within the run. Tags
// of the new part lie on the time of the run by the node's clock: a controller counts
// from its own start, and that is placed at At.
type Restart struct {
	From      uint64 `json:"from_ps"`    // until here the record before is kept, of the channel that is kept shortest
	At        uint64 `json:"at_ps"`      // what was added to each tag and end of the new part
	InstantNs int64  `json:"instant_ns"` // Unix time of the node's clock at which it was to start
	Why       string `json:"why"`
}

// Take is a shot of a node in a run that takes several: its controllers are armed
// and started anew, and count from that start.
type Take struct {
	Number         int    `json:"shot"`            // from 1
	At             uint64 `json:"at_ps"`           // its instant after that of the first: where the time 0 of its files lies in the run
	InstantNs      int64  `json:"instant_ns"`      // Unix time of the master's clock
	CompensationNs int64  `json:"compensation_ns"` // the node was fired this much earlier
}

// StreamLoss is a gap of a stream of the node.
type StreamLoss struct {
	Stream uint16 `json:"stream"`
	Loss
}

// Counts says how far a channel has come.
type Counts struct {
	Tags  uint64 `json:"tags"`
	Lost  uint64 `json:"lost"`     // tags known to be missing
	First uint64 `json:"first_ps"` // 0 when there are no tags
	Last  uint64 `json:"last_ps"`
	Until uint64 `json:"until_ps"` // no later tag comes before this
}

// StreamCounts are the counts of a stream of the node.
type StreamCounts struct {
	Stream uint16 `json:"stream"`
	Counts
}

// Disk is how much room the disk has that a node or the master writes to.
type Disk struct {
	Free int64 `json:"free"`       // bytes that may still be written
	Pace int64 `json:"pace_per_s"` // bytes by which that becomes less, in the last seconds; below 0: more
}

// Low reports whether less than below bytes will be free within a time, beside
// those that are owed to files.
func (d Disk) Low(below, owed int64, within time.Duration) bool {
	return float64(d.Free)-float64(max(d.Pace, 0))*within.Seconds() < float64(below)+float64(max(owed, 0))
}

// Left is the time until less than below bytes are free beside those that are
// owed, at the pace of the last seconds. ok: that will happen.
func (d Disk) Left(below, owed int64) (left time.Duration, ok bool) {
	if d.Pace <= 0 {
		return 0, false
	}
	seconds := max(0, float64(d.Free)-float64(below)-float64(max(owed, 0))) / float64(d.Pace)
	return time.Duration(min(seconds, maxLeft.Seconds()) * float64(time.Second)), true
}

// maxLeft is the longest time that Left returns.
const maxLeft = 100 * 365 * 24 * time.Hour

// Sent is how the files of a node travelled. Packed of its bytes were packed on the
// way, to PackedTo; what decided that are the rates that were measured, in bytes a
// second of all connections and of packing.
type Sent struct {
	Compress string `json:"compress"` // as the recipe says: "none" or "auto"
	Bytes    int64  `json:"bytes"`    // of files, also those that were sent again
	Packed   int64  `json:"packed"`
	PackedTo int64  `json:"packed_to"`
	LinkPerS int64  `json:"link_bytes_per_s,omitempty"` // 0: not measured
	PackPerS int64  `json:"pack_bytes_per_s,omitempty"` // 0: not measured
}

// Ratio is how many times as long packed chunks were before; 0: none was packed.
func (s Sent) Ratio() float64 {
	if s.Packed <= 0 || s.PackedTo <= 0 {
		return 0
	}
	return float64(s.Packed) / float64(s.PackedTo)
}

// Kept is how many tags of a stream a sink has kept in no file of the run.
type Kept struct {
	Stream uint16 `json:"stream"`
	Tags   uint64 `json:"tags"`
}

// Segment is one closed file of a sink: tags of one channel, or something else,
// with 0 tags.
type Segment struct {
	Sink    string           `json:"sink"`           // name of the recipe's sink that wrote it
	Kind    sdk.ArtifactKind `json:"kind,omitempty"` // absent: tags
	Index   int              `json:"index"`
	File    string           `json:"file"` // relative to the run directory, with slashes
	Size    int64            `json:"size"`
	SHA256  string           `json:"sha256"`
	Tags    uint64           `json:"tags"`
	FirstPs uint64           `json:"first_ps"` // 0 when there are no tags
	LastPs  uint64           `json:"last_ps"`
	Lost    uint64           `json:"lost"`
	Part    int              `json:"part,omitempty"` // of the record of its node: how often its controllers had been started anew
}

// HoldsTags says whether a file is a segment of a channel's tags.
func (s *Segment) HoldsTags() bool { return s.Kind == "" || s.Kind == sdk.Tags }
