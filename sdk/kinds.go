package sdk

import (
	"context"
	"encoding/json"
)

// DriverType is a driver that a recipe can name. Make one with [NewDriver].
type DriverType struct {
	offer
	open            func(context.Context, Env, json.RawMessage) (Driver, error)
	check           func(json.RawMessage, Acquisition) ([]*Failure, error) // nil: its configuration has none
	simulation      func() (*Simulator, error)                             // nil: it plays no device
	checkSimulation func(json.RawMessage, Acquisition) ([]*Failure, error) // nil: its simulation has none
	noThresholds    bool
}

// SinkType is a sink that a recipe can name. Make one with [NewSink].
type SinkType struct {
	offer
	inPlace bool
	open    func(context.Context, Env, json.RawMessage) (Sink, error)
	check   func(json.RawMessage, Recording) ([]*Failure, error) // nil: its configuration has none
	results *resultsTaker                                        // nil: it takes none
	merged  *mergedTaker                                         // nil: it takes none
}

// offer is what drivers and sinks have in common: a name and a configuration.
type offer struct {
	name     string
	describe func() (Offer, error)
}

// Keeping says what becomes of the tags that the sink is given. With it, a
// recipe is refused at once if a stage needs tags that no sink keeps in files.
// A sink that does not say it is judged by what it has told when the run is
// over: it must have kept every tag, unless all its files are of other kinds
// than [Tags].
func (t SinkType) Keeping(k Keeps) SinkType {
	describe := t.describe
	t.describe = func() (Offer, error) {
		o, err := describe()
		o.Keeps = k
		return o, err
	}
	return t
}

// Resumable says that a process of the sink may go on with the recording of one that
// died (see [Recording.Resumed]). The host then keeps what a sink has not told of,
// starts it anew where it dies, and sends that again.
func (t SinkType) Resumable() SinkType {
	describe := t.describe
	t.describe = func() (Offer, error) {
		o, err := describe()
		o.Resumable = true
		return o, err
	}
	return t
}

// InPlace says that the sink only reads the tags that it is given. They may then lie in
// memory that it shares with the host, where a program that writes to them is ended, and
// [Recording.Hold] may be had.
func (t SinkType) InPlace() SinkType {
	t.inPlace = true
	return t
}

// Naming says which names the sink gives to its files, below [Recording.Dir]:
// "{channel}-{segment}.bin", where {channel} is the name of a stream and {segment}
// its [Artifact.Segment] in at least six digits. The master then takes no file of
// another name. A sink that does not say it may name its files as it likes.
func (t SinkType) Naming(patterns ...string) SinkType {
	describe := t.describe
	t.describe = func() (Offer, error) {
		o, err := describe()
		o.Files = patterns
		return o, err
	}
	return t
}

// NewDriver ties a configuration type to the function that opens a device.
//
// C is a struct. Its json tags name the keys a recipe may set, its jsonschema
// tags describe and bound them (`jsonschema:"required,description=where it is"`),
// and quantities ("48.2 ns") are fields of the types of sdk/quantity. The
// host checks a recipe against the schema that follows from C before open is
// called; keys that the recipe leaves out keep the value they have in defaults.
// Where C is a [DriverChecker], `tsrun check` finds what its Check finds, too.
//
// Open connects, makes sure that the device is of the expected kind, and
// returns. It changes nothing on the device and gives up when ctx ends.
func NewDriver[C any](name string, defaults C, open func(context.Context, Env, C) (Driver, error), more ...DriverOption) DriverType {
	t := DriverType{
		offer: newOffer(name, defaults),
		check: checkOf[C, Acquisition](defaults),
		open: func(ctx context.Context, env Env, config json.RawMessage) (Driver, error) {
			c, err := decodeConfig(config, defaults)
			if err != nil {
				return nil, err
			}
			return open(ctx, env, c)
		},
	}
	for _, say := range more {
		say(&t)
	}
	return t
}

// NewSink ties a configuration type to the function that opens a sink; the
// configuration works as in [NewDriver], and may be a [SinkChecker]. Open does
// not write yet: where to is said by [Sink.Begin]. [SinkType.Keeping] says what
// the sink does with tags.
func NewSink[C any](name string, defaults C, open func(context.Context, Env, C) (Sink, error)) SinkType {
	return SinkType{
		offer: newOffer(name, defaults),
		check: checkOf[C, Recording](defaults),
		open: func(ctx context.Context, env Env, config json.RawMessage) (Sink, error) {
			c, err := decodeConfig(config, defaults)
			if err != nil {
				return nil, err
			}
			return open(ctx, env, c)
		},
	}
}

func newOffer[C any](name string, defaults C) offer {
	return offer{name: name, describe: func() (Offer, error) { return describeConfig(name, defaults) }}
}
