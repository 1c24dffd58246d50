// Command crdb_grammar parses SQL with CockroachDB's own parser.
//
// It reads one JSON object a line, {"origin", "name", "sql"}, and answers each with one line {"origin", "name", "ok",
// "error", "statements"}; an entry is ok when it is exactly one statement, or one or more where "script" is true.  The body of a PL/pgSQL function is parsed
// too.  A syntax check only: it knows no tables, types or functions.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/cockroachdb/cockroachdb-parser/pkg/sql/parser"
	plpgsql "github.com/cockroachdb/cockroachdb-parser/pkg/sql/plpgsql/parser"
	"github.com/cockroachdb/cockroachdb-parser/pkg/sql/sem/tree"
)

type entry struct {
	Origin string `json:"origin"`
	Name   string `json:"name"`
	SQL    string `json:"sql"`
	Script bool   `json:"script"`
}

type answer struct {
	Origin     string   `json:"origin"`
	Name       string   `json:"name"`
	OK         bool     `json:"ok"`
	Error      string   `json:"error"`
	Statements []string `json:"statements"`
}

func check(e entry) answer {
	a := answer{Origin: e.Origin, Name: e.Name, Statements: []string{}}
	parsed, err := parser.Parse(e.SQL)
	if err != nil {
		a.Error = err.Error()
		return a
	}
	for _, statement := range parsed {
		a.Statements = append(a.Statements, statement.AST.StatementTag())
		if err := checkBody(statement.AST); err != nil {
			a.Error = err.Error()
			return a
		}
	}
	if len(parsed) != 1 && !(e.Script && len(parsed) > 1) {
		a.Error = fmt.Sprintf("want one statement, found %d", len(parsed))
	}
	a.OK = a.Error == ""
	return a
}

// checkBody parses the body of a PL/pgSQL function, which the SQL parser takes as a mere string.
func checkBody(statement tree.Statement) error {
	routine, ok := statement.(*tree.CreateRoutine)
	if !ok {
		return nil
	}
	var body string
	isPLpgSQL := false
	for _, option := range routine.Options {
		switch o := option.(type) {
		case tree.RoutineBodyStr:
			body = string(o)
		case tree.RoutineLanguage:
			isPLpgSQL = o == tree.RoutineLangPLpgSQL
		}
	}
	if !isPLpgSQL {
		return nil
	}
	_, err := plpgsql.Parse(body)
	return err
}

func run(in io.Reader, out io.Writer) error {
	decoder := json.NewDecoder(bufio.NewReader(in))
	buffered := bufio.NewWriter(out)
	encoder := json.NewEncoder(buffered)
	for {
		var e entry
		if err := decoder.Decode(&e); err == io.EOF {
			return buffered.Flush()
		} else if err != nil {
			return err
		}
		if err := encoder.Encode(check(e)); err != nil {
			return err
		}
	}
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
