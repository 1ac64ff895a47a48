// Package sdk is everything a tsrun plugin needs.
//
// A plugin is a small program whose main calls [Serve]. It offers drivers,
// which control Time Controllers, and sinks, which keep what drivers produce.
// The SDK owns the process: handshake, logging, configuration, the ZeroMQ data
// path, and what happens when the host disappears. The author writes one small
// type:
//
//	main ── Serve ──▶ open(ctx, env, config) ──▶ Driver
//	                       Describe             once, after open
//	                       Arm, Acquire         any number of times
//	                       Close                once, at the end
//
// Tags never travel by gRPC: a driver hands them to its [Stream], and the SDK
// sends them as blocks over ZeroMQ to the node's distribution core.
package sdk

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"tsrun/sdk/tag"
)

// Plugin is what a plugin program offers.
type Plugin struct {
	Name    string // "tc-ethernet"; the name of the binary
	Version string // usually set at link time
	Summary string // one line for listings
	Drivers []DriverType
	Sinks   []SinkType
	Needs   Needs // beyond what every plugin has
}

// Needs are what a plugin needs beyond what the host lets it have. Where the
// kernel can, a plugin is confined: it may read its own program, what programs are
// made of and the files that its config names, and write to its scratch directory
// and, a sink, to [Recording.Dir]. A driver may use devices and the network, too.
type Needs struct {
	Reads   []string `json:"reads,omitempty"`   // more files and directories; "~/" is the user's home
	Writes  []string `json:"writes,omitempty"`  // more directories
	Network bool     `json:"network,omitempty"` // of a sink: TCP
	// Unconfined is why the plugin cannot be confined at all. It stands in the
	// manifest of each run.
	Unconfined string `json:"unconfined,omitempty"`
}

// Env is what the host lends a driver or sink.
type Env struct {
	Log        *slog.Logger    // goes to the run's log, with node and instance attached
	Instance   string          // "alice.tc" for a driver, "alice.raw" for a sink
	Dir        string          // private scratch directory (0700), removed after the run
	Simulation json.RawMessage // a [Simulation], for a configuration that means a simulated device; else nil: see [Simulates]
}

// Driver controls one Time Controller.
//
// The SDK calls the methods one at a time: Describe once after open, then Arm
// and Acquire any number of times on the open device, and Close once at the end.
//
//	Describe ─▶ Arm ─▶ Acquire ─▶ Arm ─▶ Acquire ─▶ … ─▶ Close
//
// An Arm that failed, and an Arm that nobody started, may be followed by the next
// Arm without an Acquire between: it finds whatever state the device was left in.
// So may an Acquire that failed; a driver that cannot go on says so in Arm. Close
// may follow any of them, including one that failed.
type Driver interface {
	// Describe reports what the connected device is and can do.
	Describe(ctx context.Context) (Device, error)

	// Arm programs the inputs. When it returns nil the device is one short,
	// bounded step away from recording.
	Arm(ctx context.Context, a Acquisition) error

	// Acquire starts the device with start.Fire and sends its tags to out
	// until the duration is over, ctx ends, or something fails. The end of ctx
	// means stop: halt the device, send what it still holds and return nil.
	Acquire(ctx context.Context, start *Start, out *Stream) error

	// Close leaves the device safe and lets go of it.
	Close() error
}

// Reporter is implemented by drivers that have more to say about an
// acquisition; the report is kept in the run's manifest as JSON. It is asked
// once after each Acquire.
type Reporter interface {
	Report() any
}

// Device describes a connected Time Controller.
type Device struct {
	Vendor, Model, Serial, Firmware string
	Identity                        string // the device's whole identification text
	ResolutionPs                    int64
	MaxRateHz                       int64 // tags per second over all inputs; 0: unknown
	Inputs                          []Input
	Can                             Capabilities
	Simulated                       bool
}

// Input is one input of a device, as labelled on its front panel.
type Input struct {
	Number                     int
	ThresholdMin, ThresholdMax int64 // microvolts; both 0: not known, nothing is refused
	DelayMax                   int64 // ps; 0: not known
}

// Capabilities say which optional parts of a recipe a device honours. The
// host refuses a recipe that needs one the device lacks before it arms anything.
type Capabilities struct {
	ScheduledStart bool // can be fired at an instant
	HardwareStart  bool // starts on an electrical edge
	InputDelay     bool // delays inputs in hardware
	// AnswersStart: the device answers its start command once it records, and not
	// before. Then the answer tells when it began, see [Prober].
	AnswersStart bool
}

// Acquisition is what the host asks of a driver from one Arm to the next.
type Acquisition struct {
	Run      tag.RunID
	Channels []Channel
	Duration time.Duration // of the acquisition; 0: until stopped
	Segment  time.Duration // tags should arrive at least this often
	Method   StartMethod
	Pulse    bool // Hardware only: this controller makes the START pulse
}

// Channel is one channel of the recipe on this device.
type Channel struct {
	Stream    uint16 // what [Stream.Send] calls it
	Name      string // "signal"
	Input     int
	Threshold int64 // microvolts; 0 where the driver has said [NoThresholds]
	Falling   bool
	Delay     int64 // ps, added to each tag of the channel by the device
}

// StartMethod is how an acquisition starts.
type StartMethod int

const (
	// Scheduled: the driver fires at an instant of the node's clock.
	Scheduled StartMethod = iota
	// Hardware: an edge on the START input fires; the driver only arms.
	Hardware
)

// Sink is given the blocks of a run: it keeps them, or makes something of them
// (see [Keeps]).
//
// The SDK calls the methods one at a time, in the order Begin, Write…, Finish,
// Close. Close may follow any of them, including one that failed; after a
// failure what is whole stays and nothing half-written looks whole.
type Sink interface {
	Begin(ctx context.Context, r Recording) error
	// Write takes one block; blocks of a stream arrive in order, exactly once.
	// The block and its tags belong to the caller again when Write returns.
	Write(ctx context.Context, b *tag.Block) error
	// Finish makes everything durable; each artifact has been given to
	// Recording.Closed, and the last numbers to Recording.Kept, when it returns.
	Finish(ctx context.Context) error
	Close() error
}

// Recording is what a sink is asked to keep.
type Recording struct {
	Run     tag.RunID
	Dir     string // where to write; exists
	Streams []RecordedStream
	Segment time.Duration // length of one file; 0: one file per stream
	// Resumed says that a process before this one had the recording and died. Of each
	// stream come the tags behind the segments that it has told of; what else it has
	// left in Dir is replaced. Only a sink that is Resumable is told so.
	Resumed bool
	// Recipe is the SHA-256 of the recipe's file in hexadecimal digits, for who wants
	// to keep beside the tags how they came about; "" from a host that does not say it.
	Recipe string

	// Hold, called within Write, keeps the tags of that block as they are until LetGo, also
	// after Write has returned. LetGo is called once for each Hold that was granted, in their
	// order, from any goroutine, and before Close returns. Hold is refused where the tags lie
	// in memory that is needed again; both are nil where that is so for all blocks.
	Hold  func() bool
	LetGo func()

	// Closed tells of a finished file. A sink may make none.
	Closed func(Artifact)
	// Kept tells of tags that are durable in no file of the run: how many of a
	// stream since Begin. The last number of a stream counts; it is compared with
	// what the channel delivered. Telling it now and then also shows a host that
	// the sink is at work.
	Kept func(stream uint16, tags uint64)
}

// RecordedStream is one stream of a recording.
type RecordedStream struct {
	Stream uint16
	Name   string // "signal"
	Told   int    // segments that the process before this one has told of; see [Recording.Resumed]

	Device    string // how its controller names itself; "" where that is not known
	Simulated bool   // whether that is no real one
}

// Failure is an error that tells its reader what to do. Errors cross between
// plugin and host as this type; any other error arrives as its message alone.
type Failure struct {
	Code    string // "device-timeout", "wrong-device", "disk-full"; stable, for scripts
	Message string
	Hint    string // what to do about it
	Field   string // the config key it is about, if any
}

func (f *Failure) Error() string {
	if f.Hint == "" {
		return f.Message
	}
	return f.Message + "; " + f.Hint
}
