/*
 * What both models share: the messages, the acceptors, and the rules of lib/paxos/acceptor.ts. One register.
 * Rules are labelled R1, E1, F1, T1, and properties P1, ...; docs/protocol.md, "The model", has them all in one table.
 *
 * The network is the set of all messages ever sent: an acceptor may handle any of them now, later, again, or never,
 * and so may a proposer with any answer. That is loss, duplication and reordering at once, without a queue to store.
 * A nack is silence, and any attempt may give up at any time: more than a proposer does that has to be told.
 *
 * A ballot is issued once and serves one attempt, so it names the attempt, its prepare, its accept and its value:
 * `attempt[b]` is all four. Ballots are 1..BALLOTS, started in any order by anybody. 0 stands for none.
 */

#define ACCEPTORS 3

/* R1: a quorum is a majority of all slots. */
#ifdef MAJORITY_TOO_SMALL
#define QUORUM 1
#else
#define QUORUM 2
#endif

/* Phases of an attempt. */
#define UNUSED 0
#define PREPARING 1
#define PROPOSED 2
#define OVER 3

/* What an acceptor says it holds, in one byte: an answer to a prepare or to a read. 0: no answer. */
#define REPORT(a) \
  (128 | (acceptors[a].committed << 6) | (acceptors[a].horizon << 4) | acceptors[a].value)
#define VALUE_OF(report) ((report) & 15)
#define HORIZON_OF(report) (((report) >> 4) & 3)
#define KNOWS(report) (((report) >> 6) & 1)

/* One acceptor: its record, its floor, and what it has answered. Columns of equal acceptors can be exchanged. */
typedef Acceptor {
  bit holds;            /* whether there is a record */
  bit committed;        /* whether `value` is known to be chosen */
  byte promised;        /* highest ballot promised */
  byte value;           /* ballot of the value accepted */
  byte horizon;
  byte floor;
  byte witness;         /* ghost: highest ballot ever promised; nothing erases it */
  byte accepted;        /* set of ballots accepted here: the `accepted` messages, and what chosen is judged by */
  byte answer[BALLOTS + 1];  /* the `promised` messages: what was held before the promise */
#ifdef READS
  byte reading;         /* the answer to the read under way */
#endif
};

Acceptor acceptors[ACCEPTORS];

/* Scratch: no step relies on what another left there, so it is no part of the state. Spin's breadth-first search can't do
   with `hidden` variables; there (SHORTEST) each step clears them. */
#ifdef SHORTEST
#define scratch byte
#else
#define scratch hidden byte
#endif

scratch k;
scratch other;
scratch found;
scratch isCertain;
scratch isWrite;

#define BIT(b) (1 << (b - 1))
#define HAS(set, b) (((set) >> ((b) - 1)) & 1)
#define MAX(x, y) ((x) > (y) -> (x) : (y))
#define VOTES(b) (HAS(acceptors[0].accepted, b) + HAS(acceptors[1].accepted, b) + HAS(acceptors[2].accepted, b))
#define IS_CHOSEN(b) (VOTES(b) >= QUORUM)

/*
 * Acceptors differ by nothing but their number. So each step ends by bringing their columns into one order: of six states
 * that differ by a renaming one is stored. A replay says which it has exchanged, and run.js gives them their names back.
 *
 * REDUCE is each model's own: it clears what no step can look at any more.
 */
c_code {
  extern int readtrail;
  static void order_two(int i, int j) {
    if (memcmp(&now.acceptors[i], &now.acceptors[j], sizeof(now.acceptors[0])) > 0) {
      struct Acceptor column = now.acceptors[i];
      now.acceptors[i] = now.acceptors[j];
      now.acceptors[j] = column;
      if (readtrail) printf("exchange #%d #%d\n", i + 1, j + 1);
    }
  }
}
#ifdef SHORTEST
#define CLEAR now.k = now.other = now.found = now.isCertain = now.isWrite = 0; CLEAR_MORE
#else
#define CLEAR
#endif
#define NORMALISE c_code { REDUCE; CLEAR; order_two(0, 1); order_two(1, 2); order_two(0, 1); }

/* A property. What breaks it is said by the replay. */
#define CLAIM(condition, broken) if :: (condition) :: else -> printf(broken); assert(false) fi

/* R2: a promise to a ballot at or above the one promised; without a record, above the floor. (At the one promised it is
   a repetition, which adds nothing to the first: left out.) */
#define MAY_PROMISE(a, b) \
  (attempt[b].phase != UNUSED && (acceptors[a].holds -> b > acceptors[a].promised : b > acceptors[a].floor))

inline promise(a, b) {
  /* P1: no promise is broken, forgetting included. */
  CLAIM(b >= acceptors[a].witness, "broken: a promise below one that was given\n");
  if
  :: attempt[b].phase == PREPARING ->
    acceptors[a].answer[b] = REPORT(a)
  :: else /* nobody waits for it */
  fi;
  printf("acceptor #%d: promised %d, holds %d, horizon %d\n", a + 1, b, acceptors[a].value, acceptors[a].horizon);
  acceptors[a].holds = 1;
  acceptors[a].promised = b;
  acceptors[a].floor = 0;  /* it is below the promise, and the promise will be the floor: no need to keep both */
  /* R3: the promise raises the horizon to the bound. */
#ifndef BOUND_IGNORED
  acceptors[a].horizon = MAX(acceptors[a].horizon, attempt[b].bound);
#endif
  acceptors[a].witness = MAX(acceptors[a].witness, b);
  NORMALISE
}

/* R4: a value is accepted at or above the ballot promised; without a record, above the floor. R5: the accept of what is
   held is a repetition, and changes nothing. */
#ifdef ACCEPT_BELOW_PROMISE
#define MAY_ACCEPT(a, b) (attempt[b].isSent && !HAS(acceptors[a].accepted, b))
#else
#define MAY_ACCEPT(a, b) \
  (attempt[b].isSent && !(acceptors[a].holds && acceptors[a].value == b) && \
   (acceptors[a].holds -> b >= acceptors[a].promised : b > acceptors[a].floor))
#endif

inline accept(a, b) {
#ifndef ACCEPT_BELOW_PROMISE
  /* P1: no promise is broken, forgetting included. */
  CLAIM(b >= acceptors[a].witness, "broken: accepted below a promise that was given\n");
#endif
  printf("acceptor #%d: accepted %d\n", a + 1, b);
  acceptors[a].holds = 1;
  acceptors[a].promised = MAX(acceptors[a].promised, b);
  acceptors[a].floor = 0;
  acceptors[a].value = b;
  acceptors[a].committed = 0;
  /* R6: the horizon is never lowered. */
  acceptors[a].horizon = MAX(acceptors[a].horizon, attempt[b].horizon);
  acceptors[a].witness = MAX(acceptors[a].witness, b);
  if
  :: WATCHED(b) -> acceptors[a].accepted = acceptors[a].accepted | BIT(b)
  :: else
  fi
}

/* R7: a commit names a value by its ballot, and changes nothing else. */
#define MAY_LEARN(a, b) \
  (attempt[b].isCommitted && acceptors[a].holds && acceptors[a].value == b && !acceptors[a].committed)

inline learn(a, b) {
  printf("acceptor #%d: knows that %d is chosen\n", a + 1, b);
  acceptors[a].committed = 1;
  NORMALISE
}

/* An attempt has left its first phase: the answers to its prepare are not looked at any more. */
inline close_first_phase(b) {
  acceptors[0].answer[b] = 0;
  acceptors[1].answer[b] = 0;
  acceptors[2].answer[b] = 0
}

/* R8: of what two answers hold, the value of the higher ballot is picked. It is certain to be chosen if both hold it, or
   if the one that holds it knows. */
#define PICKED(one, two) MAX(VALUE_OF(one), VALUE_OF(two))
#define PICKED_IS_CHOSEN(one, two) \
  (VALUE_OF(one) == VALUE_OF(two) || (VALUE_OF(one) > VALUE_OF(two) -> KNOWS(one) : KNOWS(two)))

#define PROMISED(b, i) acceptors[i].answer[b]
#define HAS_PROMISES(b, i, j) (attempt[b].phase == PREPARING && PROMISED(b, i) != 0 && PROMISED(b, j) != 0)

/* Choices, spelled out: within a d_step the first one possible would be taken. */
#if BALLOTS == 2
#define FOR_EACH_BALLOT(step) step(1) step(2)
#elif BALLOTS == 3
#define FOR_EACH_BALLOT(step) step(1) step(2) step(3)
#elif BALLOTS == 4
#define FOR_EACH_BALLOT(step) step(1) step(2) step(3) step(4)
#elif BALLOTS == 5
#define FOR_EACH_BALLOT(step) step(1) step(2) step(3) step(4) step(5)
#else
#define FOR_EACH_BALLOT(step) step(1) step(2) step(3) step(4) step(5) step(6)
#endif

#ifdef MAJORITY_TOO_SMALL
#define FOR_EACH_QUORUM(step, b, x) step(b, 0, 0, x) step(b, 1, 1, x) step(b, 2, 2, x)
#else
#define FOR_EACH_QUORUM(step, b, x) step(b, 0, 1, x) step(b, 0, 2, x) step(b, 1, 2, x)
#endif
