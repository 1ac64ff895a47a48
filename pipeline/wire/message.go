package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/datagram"
	"tsrun/pipeline/fact"
	"tsrun/sdk"
	"tsrun/sdk/realtime"
)

// Protocol is the version of the conversation between slave and master. It
// changes when either side would misunderstand the other.
const Protocol = 6

// Request is what a slave asks or tells over the status port. Exactly one of
// Join, Report, File and Recording is set. A request may arrive twice: the master's
// answer must not depend on it.
type Request struct {
	Node   string          `json:"node"`
	Token  string          `json:"token,omitempty"` // of the session, from Welcome; empty in a Join
	Join   *Join           `json:"join,omitempty"`
	Report *Report         `json:"report,omitempty"`
	File   json.RawMessage `json:"file,omitempty"` // a question of the file transfer
	// Recording is about what the node has recorded by itself, to a master that collects.
	Recording *Recording `json:"recording,omitempty"`
}

// Join asks to take part under a name.
type Join struct {
	Protocol int    `json:"protocol"`
	Instance string `json:"instance"` // random, of this process: two slaves of one name are told apart by it
	Version  string `json:"version"`
	Host     string `json:"host"`
	PID      int    `json:"pid"`
	Key      string `json:"key,omitempty"` // of a slave that the master itself has started
	// Held are runs of which the slave keeps files that no master has taken. The
	// master of one of them takes the slave back for those files.
	Held []Held `json:"held,omitempty"`
	// Owner and Signature show whose process this is, where no certificate does: a
	// public key and what proves that it is this slave's, see [Identity].
	Owner     string `json:"owner,omitempty"`
	Signature string `json:"signature,omitempty"`
	// Local counts what the node has recorded by itself and no master has a copy of. It
	// is offered to a master that collects, and to nobody else.
	Local int `json:"local,omitempty"`
}

// MaxHeld is how many runs a slave offers at most.
const MaxHeld = 16

// Held offers the files of a run to its master, and to nobody else.
type Held struct {
	Run   string `json:"run"`   // 32 hexadecimal digits
	Proof string `json:"proof"` // by the slave, see [Prove]
}

// What is proven with the token of a session by whoever knows it.
const (
	HeldBySlave     = "held by slave"
	ResumedByMaster = "resumed by master"
)

// Prove returns what only one who knows the token of a session can say: of a run, a
// node and the process that joins. It does not tell the token.
func Prove(token [16]byte, what, run, node, instance string) string {
	h := hmac.New(sha256.New, token[:])
	fmt.Fprintf(h, "%s\x00%s\x00%s\x00%s", what, run, node, instance)
	return hex.EncodeToString(h.Sum(nil))
}

// Proven compares a proof with what it must be.
func Proven(proof string, token [16]byte, what, run, node, instance string) bool {
	return hmac.Equal([]byte(proof), []byte(Prove(token, what, run, node, instance)))
}

// JoinKey is the environment variable by which a master gives its own slaves
// the key that they show when they join: nobody else can take their place.
const JoinKey = "TSRUN_JOIN_KEY"

// Report is the heartbeat: where the slave stands and what is new.
type Report struct {
	Phase    Phase     `json:"phase"`
	Order    uint64    `json:"order"`              // number of the last order carried out
	Beacon   bool      `json:"beacon"`             // the trigger port has been heard
	ClockNs  int64     `json:"clock_ns,omitempty"` // Unix time of the slave's clock when this was sent
	Answered *Answered `json:"answered,omitempty"` // nil: no answer has come yet
	// RoundTripNs is the shortest time that an answer of the master took; 0: none yet.
	RoundTripNs int64               `json:"round_trip_ns,omitempty"`
	Clock       *clock.Reading      `json:"clock,omitempty"` // the node's clock against the master's; nil: not known
	Progress    []fact.StreamCounts `json:"progress,omitempty"`
	Disk        *fact.Disk          `json:"disk,omitempty"`    // of the node's files; absent where none is watched
	Glimpse     *Glimpse            `json:"glimpse,omitempty"` // of a node that is watched
	News        []News              `json:"news,omitempty"`    // in order, numbered without gaps
	// Offered is the master, by [Reply.Master], that this node has offered every file of
	// its: what is not with that one will not come. Only one that is Done says so.
	Offered string `json:"offered,omitempty"`
}

// Answered says when the newest answer of the master was sent, by its clock, and came, by
// the node's: Unix times.
type Answered struct {
	SentNs int64 `json:"sent_ns"`
	CameNs int64 `json:"came_ns"`
}

// Phase is where a node stands in a run.
type Phase string

// The phases of a node, in order. A node whose driver failed goes through them
// too: it still closes and sends its files.
const (
	Preparing    Phase = "preparing"    // plugins start, devices open
	Ready        Phase = "ready"        // devices answered, trigger port heard
	Armed        Phase = "armed"        // one bounded step from recording
	Running      Phase = "running"      // the instant is accepted; waiting for it or recording
	Draining     Phase = "draining"     // recorded; files are being closed
	Transferring Phase = "transferring" // files closed; on their way
	Done         Phase = "done"         // everything of this node is with the master, or will not come
)

// ChannelProgress is how far one channel has come.
type ChannelProgress struct {
	Stream uint16 `json:"stream"`
	Tags   uint64 `json:"tags"`
	Lost   uint64 `json:"lost"`
	First  uint64 `json:"first_ps"`
	Last   uint64 `json:"last_ps"`
	Until  uint64 `json:"until_ps"`
}

// News is one fact that the master must learn exactly once. Exactly one of
// its facts is set.
type News struct {
	Seq        uint64           `json:"seq"` // from 1
	Controller *ControllerUp    `json:"controller,omitempty"`
	Early      *Early           `json:"early,omitempty"`
	Sink       *SinkUp          `json:"sink,omitempty"`
	Shot       *ShotFired       `json:"shot,omitempty"`
	Clock      *clock.Reading   `json:"clock,omitempty"` // by which the node translated the instant
	ClockSet   *clock.Step      `json:"clock_set,omitempty"`
	Short      *Short           `json:"short,omitempty"`
	Loss       *fact.StreamLoss `json:"loss,omitempty"`
	Restart    *fact.Restart    `json:"restart,omitempty"` // what follows is of another part of the record
	Take       *Take            `json:"take,omitempty"`    // what follows is of another shot
	Heard      *fact.Heard      `json:"heard,omitempty"`   // how the order to start came
	Segment    *Segment         `json:"segment,omitempty"`
	Kept       *Kept            `json:"kept,omitempty"`
	Sent       *fact.Sent       `json:"sent,omitempty"` // how its files travelled, at the end
	Ended      *Ended           `json:"ended,omitempty"`
	Unstarted  *Unstarted       `json:"unstarted,omitempty"`
	Failure    *sdk.Failure     `json:"failure,omitempty"` // something that went wrong and will not mend by itself
	Warning    *Warning         `json:"warning,omitempty"` // worth a look, and the run goes on
	Stopped    bool             `json:"stopped,omitempty"` // the node's user ended its recording
	Log        json.RawMessage  `json:"log,omitempty"`     // one line of the node's log
}

// Warning is what the users of node and master should know.
type Warning struct {
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// Short says that too little time is left for a node to start at the instant: the order
// came late. It starts all the same if the master, which has read this, does not call
// the start off.
type Short struct {
	LeftNs  int64 `json:"left_ns"`  // before the instant; negative: it has passed
	NeedsNs int64 `json:"needs_ns"` // what a start takes
}

// Empty reports whether a piece of news has a number and nothing else.
func (n *News) Empty() bool {
	return n.Controller == nil && n.Early == nil && n.Sink == nil && n.Shot == nil && n.Loss == nil && n.Restart == nil && n.Take == nil && n.Segment == nil && n.Kept == nil && n.Sent == nil &&
		n.Ended == nil && n.Unstarted == nil && n.Failure == nil && n.Warning == nil && n.ClockSet == nil && n.Short == nil && n.Heard == nil && !n.Stopped && n.Log == nil
}

// Take says that a node starts a shot, in a run that takes several.
type Take struct {
	fact.Take
	Clock *clock.Reading `json:"clock,omitempty"` // by which the node translated its instant
}

// SlaveEnded is the code of the failure of a node whose slave ended within the recording.
const SlaveEnded = "slave-ended"

// NotSent is the code of the failure of a node that could not send files, which it keeps:
// they may come when the run is resumed.
const NotSent = "not-sent"

// ControllerUp says which device a node has opened, and with which plugin.
type ControllerUp struct {
	Name   string      `json:"name"`
	Plugin fact.Plugin `json:"plugin"`
	Device fact.Device `json:"device"`
	// Realtime is what the thread that fires was granted, of what the recipe asks.
	Realtime []realtime.Grant `json:"realtime,omitempty"`
}

// Early says how much earlier than the instant a controller is to be fired, where the
// recipe says something of it.
type Early struct {
	Controller string `json:"controller"`
	fact.Compensation
}

// SinkUp says which plugin is given a node's tags, and what becomes of them.
type SinkUp struct {
	Name   string      `json:"name"`
	Plugin fact.Plugin `json:"plugin"`
	Keeps  sdk.Keeps   `json:"keeps,omitempty"`
}

// ShotFired says when a controller was started.
type ShotFired struct {
	Controller string `json:"controller"`
	fact.Shot
}

// Segment is one closed file of a node.
type Segment struct {
	Number uint32 `json:"number"` // of the file in the transfer
	Stream uint16 `json:"stream"` // of which it holds the tags, where it holds tags
	fact.Segment
}

// Kept is how many tags of a stream a sink says it has kept in no file of the run.
type Kept struct {
	Sink string `json:"sink"`
	fact.Kept
}

// Ended says that a controller's acquisition is over.
type Ended struct {
	Controller string              `json:"controller"`
	Report     json.RawMessage     `json:"report,omitempty"` // the driver's own words
	Sent       []fact.StreamCounts `json:"sent,omitempty"`   // what the driver counted
}

// Unstarted says that a controller brought tags, or a record without any, and that its
// driver has not told when it began.
type Unstarted struct {
	Controller string `json:"controller"`
	Shot       int    `json:"shot,omitempty"` // of several, from 1
	Tags       uint64 `json:"tags"`
}

// Reply is what the master answers.
type Reply struct {
	Refused *sdk.Failure `json:"refused,omitempty"` // final: asking again will not help
	Wait    string       `json:"wait,omitempty"`    // a Join that may succeed later; says why not now
	Welcome *Welcome     `json:"welcome,omitempty"`
	// Unwanted beside Wait: the master only collects, and wants nothing more of this node.
	Unwanted bool   `json:"unwanted,omitempty"`
	Seen     uint64 `json:"seen,omitempty"`  // the last news the master has
	Order    *Order `json:"order,omitempty"` // the newest order, for a slave that missed it
	// Clocks say how the master's clock stands now, for a slave that compares its own.
	Clocks []clock.Standing `json:"clocks,omitempty"`
	// Master is the process that answers a report. After tsrun resume it is another one,
	// which knows nothing of the files that the one before refused.
	Master string          `json:"master,omitempty"`
	SentNs int64           `json:"sent_ns,omitempty"` // Unix time of the master's clock when this answers a report
	File   json.RawMessage `json:"file,omitempty"`

	Recording *RecordingAnswer `json:"recording,omitempty"`
}

// Welcome admits a slave to a run and gives it its part of the recipe.
type Welcome struct {
	Run         string           `json:"run"`
	Token       string           `json:"token"`                   // 32 hexadecimal digits; marks everything the slave sends in this run
	Recipe      json.RawMessage  `json:"recipe"`                  // resolved; holds this node only
	RecipeSum   string           `json:"recipe_sha256,omitempty"` // of the recipe's file, as in the manifest
	TriggerPort int              `json:"trigger_port"`
	FilesPort   int              `json:"files_port"`
	Master      string           `json:"master,omitempty"` // see [Reply.Master]
	Clock       *datagram.Access `json:"clock,omitempty"`  // to the master's time; nil: the clocks are not compared
	// Fast lets it hear orders as datagrams, too; nil: there are none.
	Fast *datagram.Access `json:"fast,omitempty"`
	// Deliver asks a slave for what it holds of a run that it was in before. There is
	// no token and no recipe then: the slave has them, and Proof shows that the
	// master has, too.
	Deliver bool `json:"deliver,omitempty"`
	// Record lets it open its devices again first, and record what is left of the run:
	// faults.lost_node is restart, and the run still records.
	Record  bool   `json:"record,omitempty"`
	Proof   string `json:"proof,omitempty"`   // by the master, see [Prove]
	Seen    uint64 `json:"seen,omitempty"`    // the last news of that run that the master has
	Revoked []byte `json:"revoked,omitempty"` // the certificates that are revoked, as a list that the CA has signed
	// Watch lets the node have its controllers at work until it is ordered to arm, and
	// show what they see. Nothing of that is kept.
	Watch bool `json:"watch,omitempty"`
	// Collect asks for what the node has recorded by itself. There is no run and no recipe then.
	Collect *Collect `json:"collect,omitempty"`
}

// ParseID reads what names a run or a session: 32 hexadecimal digits. ok is
// false for anything else, of any length.
func ParseID(text string) (id [16]byte, ok bool) {
	if len(text) != hex.EncodedLen(len(id)) { // hex.Decode writes beyond a target that is too short
		return id, false
	}
	_, err := hex.Decode(id[:], []byte(text))
	return id, err == nil
}
