package event

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"tsrun/pipeline/align"
	"tsrun/pipeline/correlate"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/track"
)

// Event is something that happened in a run and that a person or a program may
// want to see at once. Each is one of the types below.
type Event interface{ kind() string }

// Observer takes events. Observe returns at once, always.
type Observer interface{ Observe(Event) }

// Begun says which run begins, and where it is kept.
type Begun struct {
	Run       string `json:"run"` // as in the manifest
	Name      string `json:"name"`
	Directory string `json:"directory"`
	Recipe    string `json:"recipe"`           // the file it was read from
	Commit    string `json:"commit,omitempty"` // of that file in git; empty: not known
}

// StateChanged says which part of the run begins: joining, arming, armed,
// running, draining, transferring, analysing, done, aborted, failed.
type StateChanged struct {
	State string `json:"state"`
}

// NodeJoined says that a node answered.
type NodeJoined struct {
	Node     string `json:"node"`
	Host     string `json:"host"` // "local" or "remote"
	Hostname string `json:"hostname,omitempty"`
	Address  string `json:"address,omitempty"`
	PID      int    `json:"pid,omitempty"`
}

// Waiting says whom a node waits for, and what would end that.
type Waiting struct {
	Node string `json:"node,omitempty"` // who waits
	For  string `json:"for"`            // a node, or "the master"
	Why  string `json:"why,omitempty"`
	Hint string `json:"hint,omitempty"` // what to do
}

// Away says that nothing is heard of a node, or at a node of the master, whose
// Node is then empty: its process or PC stands still, or the network between does.
// It records on meanwhile, and comes back.
type Away struct {
	Node     string        `json:"node,omitempty"`
	Silent   time.Duration `json:"silent_ns"`   // until now
	Patience time.Duration `json:"patience_ns"` // after so long it is lost
	Hint     string        `json:"hint,omitempty"`
}

// Back says that a node, or the master, is heard again.
type Back struct {
	Node   string        `json:"node,omitempty"`
	Silent time.Duration `json:"silent_ns"`
}

// DeviceIdentified says what a controller is.
type DeviceIdentified struct {
	Node       string      `json:"node"`
	Controller string      `json:"controller"`
	Device     fact.Device `json:"device"`
}

// Armed says that all controllers of a node wait for their start.
type Armed struct {
	Node string `json:"node"`
}

// Fired says at which instant the nodes start.
type Fired struct {
	InstantNs int64  `json:"instant_ns"` // unix ns of the master's clock; 0 when an edge decides
	Method    string `json:"method"`
	Shot      int    `json:"shot,omitempty"` // from 1, where there are several
	Of        int    `json:"of,omitempty"`   // so many
}

// Started says by how much later a node began than the trigger's master, once both have
// told when they began: the true value is within the bound.
type Started struct {
	Node    string `json:"node"`
	Against string `json:"against"`
	SkewNs  int64  `json:"skew_ns"`
	BoundNs int64  `json:"uncertainty_ns"`
}

// Compensated says that a controller was fired by another compensation than in the shot
// before: it follows what its starts take.
type Compensated struct {
	Node       string `json:"node"`
	Controller string `json:"controller"`
	Shot       int    `json:"shot"` // the first that has it
	WasNs      int64  `json:"was_ns"`
	IsNs       int64  `json:"is_ns"`
}

// Progress says how far a node's acquisition is. Progress may be dropped.
type Progress struct {
	Node     string        `json:"node"`
	Tags     uint64        `json:"tags"`
	Elapsed  time.Duration `json:"elapsed_ns"`
	Duration time.Duration `json:"duration_ns"`         // 0: until stopped
	DiskFree int64         `json:"disk_free,omitempty"` // bytes, on the disk that is full first; 0: not known
	// DiskLeft is the time until that disk reaches faults.disk_below, at the pace of
	// the last seconds; nil: it does not fill.
	DiskLeft *time.Duration `json:"disk_left_ns,omitempty"`
	// Files are how many it has announced, which it has closed; some are not here yet.
	Files int `json:"files,omitempty"`
	// Channels are the node's, by name: those of which something is known.
	Channels map[string]ChannelProgress `json:"channels,omitempty"`
}

// ChannelProgress is how far one channel is.
type ChannelProgress struct {
	Tags    uint64 `json:"tags"`
	Lost    uint64 `json:"lost"`     // tags known to be missing
	UntilPs uint64 `json:"until_ps"` // no later tag comes before this
}

// Watched is what a bench that is watched sees; nothing of it is kept. A newer one
// replaces it unread.
type Watched struct {
	Elapsed  time.Duration    `json:"elapsed_ns"` // since something was seen first
	Channels []WatchedChannel `json:"channels"`
	Pairs    []WatchedPairs   `json:"pairs,omitempty"`
}

// WatchedChannel is what is seen of a channel.
type WatchedChannel struct {
	Channel string    `json:"channel"` // "alice.signal"
	Rate    *run.Rate `json:"rate_hz"` // of the last fifth of a second; null: nothing is heard of it
	Tags    uint64    `json:"tags"`
	Lost    uint64    `json:"lost"`
}

// WatchedPairs is what two channels see together, in the tags of the last second that
// were looked at. A number that nobody knows is left out.
type WatchedPairs struct {
	A          string   `json:"a"`
	B          string   `json:"b"`
	WindowPs   int64    `json:"window_ps"`
	State      string   `json:"state"`              // of the clock of B against A: searching, tracking, lost, stepped; tracking of one controller
	SeenPs     int64    `json:"seen_ps"`            // how much time of both channels was looked at
	Pairs      *float64 `json:"pairs_hz,omitempty"` // beyond chance
	PairsSD    *float64 `json:"pairs_sd_hz,omitempty"`
	Chance     *float64 `json:"chance_hz,omitempty"`
	HeraldingA *float64 `json:"heralding_a,omitempty"` // pairs over the singles of B
	HeraldingB *float64 `json:"heralding_b,omitempty"` // pairs over the singles of A
	PeakPs     *int64   `json:"peak_ps,omitempty"`     // B minus A of the highest window; left out: none stands out of chance
	G2         *float64 `json:"g2,omitempty"`          // in that window, or in that at 0
	G2SD       *float64 `json:"g2_sd,omitempty"`
}

// Transfer says how far a file is on its way to the master. It may be dropped.
type Transfer struct {
	Node  string `json:"node"`
	File  string `json:"file"`
	Phase string `json:"phase"` // receiving, checking (what was kept of it) or hashing
	Done  int64  `json:"done"`  // bytes, of that phase
	Size  int64  `json:"size"`
}

// FileVerified says that a file is here and its bytes are proven.
type FileVerified struct {
	Node string `json:"node"`
	File string `json:"file"`
	Size int64  `json:"size"`
}

// Sync says how the target's clock of an align stage stands against the
// reference's, as far as the proven segments tell while the run goes on. It is
// also a line of sync.jsonl. A newer one may replace it unread, unless the
// state differs.
type Sync struct {
	Stage        string      `json:"stage"`
	Reference    string      `json:"reference"` // channel, "alice.signal"
	Target       string      `json:"target"`
	Shot         int         `json:"shot,omitempty"`    // from 1; 0: the run takes one
	Segment      *int        `json:"segment,omitempty"` // set: this is the last that the segment of this number told
	State        align.State `json:"state"`
	*align.Value             // target minus reference; nil: nothing is known yet
	// Allan are the deviations of the clock since it was found last, with the last value
	// of a segment; not in sync.jsonl.
	Allan []track.AllanPoint `json:"allan,omitempty"`
}

// Pairs says what two channels, whose clocks an align stage follows, saw together while
// the run goes on: in the newest segment, and in all that were counted. Histograms are
// of target minus reference, as the stage would correct it. A newer one may replace it
// unread. The results of the run come from its stages, which look at every tag.
type Pairs struct {
	Stage     string `json:"stage"` // that follows the clock
	Reference string `json:"reference"`
	Target    string `json:"target"`
	Shot      int    `json:"shot,omitempty"` // of the segment, from 1; 0: the run takes one
	Segment   int    `json:"segment"`        // the newest that was counted
	AtPs      uint64 `json:"at_ps"`          // of its first tag, on the reference's clock
	WindowPs  int64  `json:"window_ps"`
	Counted   int    `json:"counted"`            // segments, this one among them
	LeftOut   int    `json:"left_out,omitempty"` // segments that are in no number here: the clock was not known, or the PC was busy

	Last  correlate.PairSum  `json:"last"` // of this segment
	Total correlate.PairSum  `json:"total"`
	Peak  *correlate.PeakFit `json:"peak"` // of this segment; null: none stands out
	Sum   *correlate.PeakFit `json:"sum"`  // of all

	StartPs int64    `json:"start_ps"` // lower edge of the first bin
	BinPs   int64    `json:"bin_ps"`
	Counts  []uint64 `json:"counts"`      // of all, the clocks corrected
	Newest  []uint64 `json:"last_counts"` // of this segment
	Raw     []uint64 `json:"raw"`         // of all, with the offset of the first alone: what drift makes of it
}

// TagsLost says that tags are missing.
type TagsLost struct {
	Node    string `json:"node"`
	Channel string `json:"channel"`
	fact.Loss
}

// Warning is worth a look, and the run goes on.
type Warning struct {
	Node    string `json:"node,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// Analysing says how far a stage is. It may be dropped.
type Analysing struct {
	Stage   string        `json:"stage"`
	Kind    string        `json:"kind"`
	Done    uint64        `json:"done"` // tags that it has read
	Of      uint64        `json:"of"`   // tags of the channels that it has begun to read
	Elapsed time.Duration `json:"elapsed_ns"`
}

// StageDone gives what a stage found.
type StageDone struct {
	Result run.Result `json:"result"`
}

// Problem is an error that ends the run or a part of it, or why a command did not begin
// what it was asked.
type Problem struct {
	Node    string `json:"node,omitempty"`
	Code    string `json:"code,omitempty"`
	Field   string `json:"field,omitempty"` // the key of the recipe that it is about
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	// Mistakes are those of the recipe, where that is what is wrong.
	Mistakes []recipe.Problem `json:"mistakes,omitempty"`
	// ExitCode is what the command ends with behind this event; 0: it goes on.
	ExitCode int `json:"exit_code,omitempty"`
}

// Finished is the last event: the whole manifest and where it is.
type Finished struct {
	Directory string        `json:"directory"`
	Manifest  *run.Manifest `json:"manifest"`
}

func (Begun) kind() string            { return "begun" }
func (StateChanged) kind() string     { return "state" }
func (NodeJoined) kind() string       { return "joined" }
func (Waiting) kind() string          { return "waiting" }
func (Away) kind() string             { return "away" }
func (Back) kind() string             { return "back" }
func (DeviceIdentified) kind() string { return "device" }
func (Compensated) kind() string      { return "compensated" }
func (Armed) kind() string            { return "armed" }
func (Fired) kind() string            { return "fired" }
func (Started) kind() string          { return "started" }
func (Progress) kind() string         { return "progress" }
func (Watched) kind() string          { return "watched" }
func (Transfer) kind() string         { return "transfer" }
func (FileVerified) kind() string     { return "verified" }
func (TagsLost) kind() string         { return "loss" }
func (Sync) kind() string             { return "sync" }
func (Pairs) kind() string            { return "pairs" }
func (Warning) kind() string          { return "warning" }
func (Analysing) kind() string        { return "analysing" }
func (StageDone) kind() string        { return "stage" }
func (Problem) kind() string          { return "error" }
func (Finished) kind() string         { return "summary" }

// longInteger is a key with an integer of 16 digits and more. Within a text its
// quotes would be escaped.
var longInteger = regexp.MustCompile(`"(\w+)":(-?\d{16,})([,}])`)

// alsoAsText adds to every integer beyond 2^53, which a float does not hold
// exactly, the same as a text.
func alsoAsText(object []byte) []byte {
	return longInteger.ReplaceAllFunc(object, func(match []byte) []byte {
		parts := longInteger.FindSubmatch(match)
		if digits := strings.TrimPrefix(string(parts[2]), "-"); len(digits) == 16 && digits <= "9007199254740992" {
			return match
		}
		return fmt.Appendf(nil, `"%[1]s":%[2]s,"%[1]s_text":"%[2]s"%[3]s`, parts[1], parts[2], parts[3])
	})
}

// Stamped is an event and when it was observed.
type Stamped struct {
	Time  time.Time
	Event Event
}

// EventVersion is the version of the events' form: it changes when a key goes
// or means something else, not when one is added.
const EventVersion = 1

// MarshalJSON gives one object: "event", "version" and "time" first, then the
// event's own keys. An integer that many readers of JSON cannot hold exactly
// stands there as a text too, under its key with "_text" behind it.
func (s Stamped) MarshalJSON() ([]byte, error) {
	body, err := json.Marshal(s.Event)
	if err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	body = alsoAsText(body)
	head := fmt.Sprintf(`{"event":%q,"version":%d,"time":%q`, s.Event.kind(), EventVersion, s.Time.UTC().Format(time.RFC3339Nano))
	if len(body) > 2 { // more than {}
		head += ","
	}
	return append([]byte(head), body[1:]...), nil
}

// Kind is what the events of a type are called: "state", "progress" and so on.
func Kind(e Event) string { return e.kind() }
