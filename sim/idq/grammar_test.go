package idq

import (
	"slices"
	"strings"
	"testing"
)

// TestMessagesLeadToCommands holds every example of levels and spellings that
// is known to have been sent to a real device.
func TestMessagesLeadToCommands(t *testing.T) {
	for _, test := range []struct {
		message string
		want    []string // canonical headers, "?" behind queries, the argument behind a space
	}{
		{"REC:PWID 1000000000000;PPER 1000000400000", []string{"RECord:PWIDth 1000000000000", "RECord:PPERiod 1000000400000"}},
		{"GEN1:ENAB ON;PPER 10000000;PWID 20000;PNUM INF;PLAY;TRIG:LINK NONE", []string{
			"GENerator1:ENABle ON", "GENerator1:PPERiod 10000000", "GENerator1:PWIDth 20000",
			"GENerator1:PNUMber INF", "GENerator1:PLAY", "GENerator1:TRIGger:LINK NONE"}},
		{"TSCO1:WIND:BEGI:LINK NONE;:TSCO1:WIND:END:LINK NONE", []string{"TSCO1:WINDow:BEGIn:LINK NONE", "TSCO1:WINDow:END:LINK NONE"}},
		{"REC:ENAB OFF;TRIG:DELA 0;LINK DELA8;ARM:MODE MANU;:REC:ENABle ON;NUM 1", []string{
			"RECord:ENABle OFF", "RECord:TRIGger:DELAy 0", "RECord:TRIGger:LINK DELA8",
			"RECord:TRIGger:ARM:MODE MANU", "RECord:ENABle ON", "RECord:NUMber 1"}},
		{"RAW1:SEND OFF;NUMErator 1;DENOminator 1;REF:LINK TSCO5;:RAW1:STOP:LINK TSCO6", []string{
			"RAW1:SEND OFF", "RAW1:NUMErator 1", "RAW1:DENOminator 1", "RAW1:REF:LINK TSCO5", "RAW1:STOP:LINK TSCO6"}},
		{"OUTP1:PULS ON;PULS:WIDT 1000000", []string{"OUTPut1:PULSe ON", "OUTPut1:PULSe:WIDTh 1000000"}},
		{"REC:DUR 1000000000000.0;TRIG:ARM", []string{"RECord:DURation 1000000000000.0", "RECord:TRIGger:ARM"}},
		{"REC:TRIG:ARM:MODE MANual;REC:ENABle ON;REC:STOP;REC:NUM 1", []string{
			"RECord:TRIGger:ARM:MODE MANual", "RECord:ENABle ON", "RECord:STOP", "RECord:NUMber 1"}},
		{"INPU1:COUNter?;:INPU2:COUNter?", []string{"INPUt1:COUNter?", "INPUt2:COUNter?"}},
		{"*IDN?", []string{"*IDN?"}},
		{"REC:ENAB ON;*IDN?;NUM?", []string{"RECord:ENABle ON", "*IDN?", "RECord:NUMber?"}},
		{"devi:res hires", []string{"DEVIce:RESolution hires"}},
		{"DEVIce:RESolution:BWIDth?", []string{"DEVIce:RESolution:BWIDth?"}},
		{"DEVIce:CONFiguration:LOAD HISTO", []string{"DEVIce:CONFiguration:LOAD HISTO"}},
		{"INPUt1:COUNter:MODE CYCL;INTEgration 100;RESEt", []string{
			"INPUt1:COUNter:MODE CYCL", "INPUt1:COUNter:INTEgrationtime 100", "INPUt1:COUNter:RESEt"}},
		{"STAR:EDGE RISI;THRE -0.400V", []string{"STARt:EDGE RISI", "STARt:THREshold -0.400V"}},
		{"INPU2:HIRE:ERRO?", []string{"INPUt2:HIREs:ERROr?"}},
		{"TSCO24:OPOUt ONLYFIR", []string{"TSCO24:OPOUt ONLYFIR"}},
		{"TSCO24:opou mute", []string{"TSCO24:OPOUt mute"}},
		{"HIST1:REF:LINK:ADDResses?", []string{"HISTogram1:REF:LINK:ADDResses?"}},
		{"HIST1:DATA?;FLUSh;STATe?", []string{"HISTogram1:DATA?", "HISTogram1:FLUSh", "HISTogram1:STATe?"}},
		{"RAW4:ERRORS:CLEAR;:RAW4:ERRORS?", []string{"RAW4:ERRORS:CLEAR", "RAW4:ERRORS?"}},
		{"RAW:SEND ON", []string{"RAW1:SEND ON"}},
		{" REC:STAG? ; NUM? ; ", []string{"RECord:STAGe?", "RECord:NUMber?"}},
		{"REC:PLAY;", []string{"RECord:PLAY"}},
		{"DELAY3:INPORT:LINK INPU1;:TSCO1:INPO:FIR:LINK?", []string{"DELAy3:LINK INPU1", "TSCO1:FIRst:LINK?"}},
		{"TSCO1:WIND:ENAB ON;BEGI:DELA 500;EDGE RISING;LINK DELA5:TSCO1:WIND:END:DELA 1500;EDGE RISING;LINK DELA5", []string{
			"TSCO1:WINDow:ENABle ON", "TSCO1:WINDow:BEGIn:DELAy 500", "TSCO1:WINDow:BEGIn:EDGE RISING", "TSCO1:WINDow:BEGIn:LINK DELA5",
			"TSCO1:WINDow:END:DELAy 1500", "TSCO1:WINDow:END:EDGE RISING", "TSCO1:WINDow:END:LINK DELA5"}},
	} {
		if got := resolveAll(test.message, false); !slices.Equal(got, test.want) {
			t.Errorf("%q:\ngot  %q\nwant %q", test.message, got, test.want)
		}
	}
}

// resolveAll returns where the instructions of a message lead; "" is nowhere.
func resolveAll(message string, strict bool) []string {
	tree := commandTree()
	var got []string
	var at level
	for _, in := range parseMessage(message) {
		p, next, err := tree.resolve(in, at, strict)
		at = next
		text := p.header
		if in.query {
			text += "?"
		}
		if in.argument != "" {
			text += " " + in.argument
		}
		if err != nil {
			text = ""
		}
		got = append(got, text)
	}
	return got
}

func TestStrictRefusesTheRoot(t *testing.T) {
	got := resolveAll("REC:TRIG:ARM:MODE MANual;REC:ENABle ON", true)
	if want := []string{"RECord:TRIGger:ARM:MODE MANual", ""}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestUnknownHeaders(t *testing.T) {
	tree := commandTree()
	for _, header := range []string{
		"", "RE", "RECORDS", "REC:", ":", "REC:PLAYING", "INPU5:ENAB", "INPU0:ENAB", "REC1:PLAY", "RAW99999999999999999999:SEND",
		"REC", "INPU1", "*", "*IDNX", "TSCO", "REC::PLAY", "rec:stage:x", "ĸ", "*IDN:X", "NUM",
	} {
		if p, err := tree.find(strings.Split(header, ":")); err == nil {
			t.Errorf("%q leads to %s", header, p.header)
		}
	}
}

func TestEveryPrefixBetweenShortAndLongForm(t *testing.T) {
	tree := commandTree()
	for _, word := range []string{"RECord", "INPUt"} {
		for n := 1; n <= len(word); n++ {
			for _, text := range []string{word[:n], strings.ToUpper(word[:n]), strings.ToLower(word[:n])} {
				_, err := tree.find([]string{text, "ENABle"})
				if legal := n >= shortForm(word); legal != (err == nil) {
					t.Errorf("%s: %v", text, err)
				}
			}
		}
	}
}

// TestPrefixesAreUnambiguous guards the tree itself: no way to write one
// mnemonic may also be one to write its neighbour.
func TestPrefixesAreUnambiguous(t *testing.T) {
	var check func(m *mnemonic)
	check = func(m *mnemonic) {
		for i, a := range m.children {
			for _, b := range m.children[i+1:] {
				for n := a.short; n <= len(a.long); n++ {
					if abbreviates(a.long[:n], b.long) {
						t.Errorf("%s is %s and %s", a.long[:n], a.long, b.long)
					}
				}
			}
			check(a)
		}
	}
	check(commandTree())
}
