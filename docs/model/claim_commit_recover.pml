/* Claim, commit, recover: how files go from one step to the next, whoever dies when.
 *
 * Two workers and an observer, each of which may be killed between any two changes of the disk, DEATHS times in all,
 * and is then started anew. Every one of them recovers what the dead had. Each statement, atomic or d_step is one
 * system call, or something that nobody else can see. Checked with spin by tools/model.
 *
 * File 0 has one destination: one rename. File 1 goes itself to B, and a copy of it to A. File 2 ends, and what was
 * made of it goes to A and B.
 *
 * Defined from outside, each of these must make the check fail:
 *   NO_COMMIT     the rename of NAME.tx to NAME.commit is left out: what is prepared is delivered at once
 *   NO_LOCK       who recovers does not ask whether the worker is alive
 *   NO_RECOVERY   nobody recovers
 *   NO_FINISH     recovery takes files back without looking whether their hand-over was committed
 *   EAGER         recovery goes on with what was prepared, committed or not
 */

#ifndef DEATHS
#define DEATHS 2
#endif
#ifndef FILES
#define FILES 3
#endif
#define PROCESSES 3
#define FOLDERS   (2 + DEATHS)  /* each life of a worker has a folder of its own */

#define NOBODY 15
#define QUEUE  10               /* places of a file besides the folders 0, 1, ... */
#define NEXT   11
#define ENDED  12

#define NONE   0                /* of NAME.tx and NAME.commit beside the claimed file NAME */
#define TX     1
#define COMMIT 2

byte place[3] = QUEUE;          /* where the file itself lies */
byte transaction[3 * FOLDERS];
bool entry_a[3 * FOLDERS];      /* what is in the transaction: for A, for B, ... */
bool entry_b[3 * FOLDERS];
bool mark_b[3 * FOLDERS];       /* ... or that the file itself goes to B */
byte in_a[3], in_b[3];          /* how often the queues A and B got it */

bool lock_file[FOLDERS];        /* the .lock of a worker's folder exists */
bool there[FOLDERS];            /* so does the folder */
byte holder[FOLDERS] = NOBODY;  /* the process that holds a flock on it */
byte folders;                   /* made so far */
byte deaths;

chan kill = [0] of { byte };

#define AT(file, folder) ((file) * FOLDERS + (folder))
#define IS_DONE_0 (place[0] == NEXT && in_a[0] == 0 && in_b[0] == 1)
#define IS_DONE_1 (place[1] == NEXT && in_a[1] == 1 && in_b[1] == 1)
#define IS_DONE_2 (FILES < 3 || (place[2] == ENDED && in_a[2] == 1 && in_b[2] == 1))
#define ALL_DONE  (IS_DONE_0 && IS_DONE_1 && IS_DONE_2)

inline reach_a(file) { in_a[file]++; assert(in_a[file] == 1) }   /* never twice */
inline reach_b(file) { in_b[file]++; assert(in_b[file] == 1) }

/* delivery/transaction.py: what is committed goes on, however often it is begun; every entry moves once. */
#define MOVED(file, w) (!entry_a[AT(file, w)] && !entry_b[AT(file, w)])
inline deliver(file, w) {
    do
    :: atomic { entry_a[AT(file, w)] -> entry_a[AT(file, w)] = false; reach_a(file) }
    :: atomic { !entry_a[AT(file, w)] && entry_b[AT(file, w)] -> entry_b[AT(file, w)] = false; reach_b(file) }
    :: atomic { MOVED(file, w) && place[file] == w && mark_b[AT(file, w)] -> place[file] = NEXT; reach_b(file) }
    :: atomic { MOVED(file, w) && place[file] == w && !mark_b[AT(file, w)] -> place[file] = ENDED }    /* unlink */
    :: atomic { MOVED(file, w) && place[file] != w ->
           mark_b[AT(file, w)] = false; transaction[AT(file, w)] = NONE; break }
    od
}

/* queues/local.py: the claim is one rename, and who loses the race finds nothing there.
 * worker/worker.py, delivery/transaction.py: prepare, commit, deliver. */
inline work_on_0(w) {
    atomic { place[0] == QUEUE -> place[0] = w };
    atomic { place[0] = NEXT; reach_b(0) }              /* one rename is hand-over and commit */
}
inline work_on(file, w) {
    atomic { place[file] == QUEUE -> place[file] = w };
    transaction[AT(file, w)] = TX;
    entry_a[AT(file, w)] = true;
    if
    :: file == 1 -> mark_b[AT(file, w)] = true
    :: file == 2 -> entry_b[AT(file, w)] = true
    fi;
#ifndef NO_COMMIT
    transaction[AT(file, w)] = COMMIT;                  /* the one instant that counts */
#endif
    deliver(file, w)
}

/* recovery/recovery.py: who gets the lock of a dead worker's folder finishes or takes back what is in it, then removes it. */
#ifdef NO_RECOVERY
#define CAN_BE_RECOVERED(w) false
#elif defined(NO_LOCK)
#define CAN_BE_RECOVERED(w) (w < FOLDERS && lock_file[w] && w != own)
#else
#define CAN_BE_RECOVERED(w) (w < FOLDERS && lock_file[w] && holder[w] == NOBODY)
#endif
#ifdef EAGER
#define GOES_ON(file, w) (transaction[AT(file, w)] != NONE)
#elif defined(NO_FINISH)
#define GOES_ON(file, w) false
#else
#define GOES_ON(file, w) (transaction[AT(file, w)] == COMMIT)
#endif
inline recover(w) {
    do
    :: GOES_ON(1, w) -> deliver(1, w)
    :: GOES_ON(2, w) -> deliver(2, w)
    :: else -> break
    od;
    do
    :: atomic { place[0] == w -> place[0] = QUEUE }
    :: atomic { place[1] == w -> place[1] = QUEUE }
    :: atomic { place[2] == w -> place[2] = QUEUE }
    :: else -> break
    od;
    atomic {                                            /* what was prepared for nothing */
        transaction[AT(1, w)] = NONE; entry_a[AT(1, w)] = false; entry_b[AT(1, w)] = false; mark_b[AT(1, w)] = false;
        transaction[AT(2, w)] = NONE; entry_a[AT(2, w)] = false; entry_b[AT(2, w)] = false; mark_b[AT(2, w)] = false
    };
    lock_file[w] = false;                               /* the lock goes last: a successor may end this */
    remove_folder(w)
}
inline remove_folder(w) {
    atomic {                                            /* rmdir(2) removes no folder in which something is */
        assert(place[0] != w && place[1] != w && place[2] != w);
        there[w] = false; holder[w] = NOBODY; w = 0
    }
}

/* Any folder of which nobody holds the lock; or whose lock is gone, since its remover died before the rmdir. */
#define IS_EMPTIED(w) (w < FOLDERS && there[w] && !lock_file[w] && holder[w] == NOBODY)
inline look_after_the_dead() {
    if
    :: atomic { CAN_BE_RECOVERED(0) -> other = 0; holder[0] = me }; recover(other)
    :: atomic { CAN_BE_RECOVERED(1) -> other = 1; holder[1] = me }; recover(other)
#if DEATHS > 0
    :: atomic { CAN_BE_RECOVERED(2) -> other = 2; holder[2] = me }; recover(other)
    :: atomic { IS_EMPTIED(2) -> other = 2 }; remove_folder(other)
#endif
#if DEATHS > 1
    :: atomic { CAN_BE_RECOVERED(3) -> other = 3; holder[3] = me }; recover(other)
    :: atomic { IS_EMPTIED(3) -> other = 3 }; remove_folder(other)
#endif
#if DEATHS > 2
    :: atomic { CAN_BE_RECOVERED(4) -> other = 4; holder[4] = me }; recover(other)
    :: atomic { IS_EMPTIED(4) -> other = 4 }; remove_folder(other)
#endif
    :: atomic { IS_EMPTIED(0) -> other = 0 }; remove_folder(other)
    :: atomic { IS_EMPTIED(1) -> other = 1 }; remove_folder(other)
    fi
}

/* The kernel drops the locks of who is dead. */
inline bury() {
    for (other : 0 .. FOLDERS - 1) {
        if
        :: holder[other] == me -> holder[other] = NOBODY
        :: else
        fi
    }
    other = 0
}

proctype Worker(byte me) {
    byte own = NOBODY, other;
    do
    :: {
           /* Made and locked under a hidden name, then renamed: nobody sees it without its lock. */
           atomic { own = folders; folders++; there[own] = true; lock_file[own] = true; holder[own] = me };
end_idle:  do
           :: look_after_the_dead()
           :: work_on_0(own)
           :: work_on(1, own)
#if FILES > 2
           :: work_on(2, own)
#endif
           od
       } unless { atomic { kill ? eval(me) -> own = NOBODY; bury() } }
    od
}

proctype Observer(byte me) {
    byte own = NOBODY, other;
    do
    :: {
end_idle:  do
           :: look_after_the_dead()
           od
       } unless { atomic { kill ? eval(me) -> bury() } }
    od
}

active proctype Killer() {
    do
    :: deaths < DEATHS -> deaths++; if :: kill ! 0 :: kill ! 1 :: kill ! 2 fi
    :: true -> break
    od
}

init {
    atomic { run Worker(0); run Worker(1); run Observer(2) };
    /* True only when nobody can do anything any more: nothing is lost then. */
    timeout -> assert(ALL_DONE)
}

ltl progress { <> ALL_DONE }
