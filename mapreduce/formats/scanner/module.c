/* The scans of `scan.h` and `lines.h` for Python, without the GIL; `__init__.py` and `lines.py` say
   what they are for. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "lines.h"
#include "scan.h"

/* A plan, and the keys it points into. */
typedef struct {
    Plan plan;
    PyObject *keys;
} HeldPlan;

static int add_node(HeldPlan *held, Node *node, PyObject *tree, int outer);

static void free_node(Node *node)
{
    for (int i = 0; i < node->count; i++)
        free_node(&node->members[i].node);
    PyMem_Free(node->members);
}

static void free_plan(PyObject *capsule)
{
    HeldPlan *held = PyCapsule_GetPointer(capsule, "plan");
    free_node(&held->plan.root);
    Py_XDECREF(held->keys);
    PyMem_Free(held);
}

static int no_plan(PyObject *error, const char *told)
{
    PyErr_SetString(error, told);
    return 0;
}

static int make_members(Node *node, Py_ssize_t count)
{
    node->members = PyMem_Calloc(count, sizeof(Member));
    return node->members ? 1 : no_plan(PyExc_MemoryError, "no room for a plan");
}

static int add_object(HeldPlan *held, Node *node, PyObject *tree, int outer)
{
    Py_ssize_t at = 0, members = PyDict_Size(tree);
    PyObject *key, *below;
    char *text;
    node->kind = outer ? OUTER : OBJECT;
    held->plan.outers += outer;
    if (!make_members(node, members))
        return 0;
    while (node->count < members && PyDict_Next(tree, &at, &key, &below)) {
        Member *one = &node->members[node->count++];
        if (PyBytes_AsStringAndSize(key, &text, &one->length) < 0 ||
            PyList_Append(held->keys, key) < 0 || !add_node(held, &one->node, below, outer))
            return 0;
        one->key = text;
    }
    return 1;
}

static int add_records(HeldPlan *held, Node *node, PyObject *tree)
{
    if (PyList_GET_SIZE(tree) != 1 || !PyDict_Check(PyList_GET_ITEM(tree, 0)))
        return no_plan(PyExc_TypeError, "expected a list of one dict");
    node->kind = RECORDS;
    held->plan.outers++;
    if (!make_members(node, 1))
        return 0;
    node->count = 1;
    return add_node(held, &node->members->node, PyList_GET_ITEM(tree, 0), 0);
}

static int add_leaf(Plan *plan, Node *node, PyObject *leaf)
{
    int kind;
    Py_ssize_t width;
    if (plan->columns == MAX_COLUMNS)
        return no_plan(PyExc_ValueError, "too many columns");
    if (!PyArg_ParseTuple(leaf, "Cn", &kind, &width))
        return 0;
    if (kind == 't' ? width < 1 || width > MAX_WIDTH : (kind != 'i' && kind != 'f') || width != 8)
        return no_plan(PyExc_ValueError, "expected ('i', 8), ('f', 8) or ('t', width)");
    node->kind = kind == 'i' ? INT : kind == 'f' ? FLOAT : TEXT;
    plan->longest[plan->columns] = width;
    plan->widths[plan->columns++] = width < PLACE_WIDTH ? PLACE_WIDTH : width;
    return 1;
}

/* Build a node of its part of the tree: {key: node} is an object, [{key: node}] the list of
   records, ("i" | "f" | "t", width) a leaf of a record. */
static int add_node(HeldPlan *held, Node *node, PyObject *tree, int outer)
{
    int added;
    if (Py_EnterRecursiveCall(" in a plan"))
        return 0;
    node->low = held->plan.columns;
    if (PyDict_Check(tree))
        added = add_object(held, node, tree, outer);
    else if (PyList_Check(tree) && outer)
        added = add_records(held, node, tree);
    else if (PyTuple_Check(tree) && !outer)
        added = add_leaf(&held->plan, node, tree);
    else
        added = no_plan(PyExc_TypeError, "expected dicts around one list of dicts of leaves");
    node->high = held->plan.columns;
    Py_LeaveRecursiveCall();
    return added;
}

static PyObject *make_plan(PyObject *self, PyObject *arguments)
{
    PyObject *tree;
    Py_ssize_t max_records;
    int allow_nan = 0;
    if (!PyArg_ParseTuple(arguments, "On|p:plan", &tree, &max_records, &allow_nan))
        return NULL;
    HeldPlan *held = PyMem_Calloc(1, sizeof(HeldPlan));
    PyObject *capsule = held ? PyCapsule_New(held, "plan", free_plan) : PyErr_NoMemory();
    if (!capsule)
        return PyMem_Free(held), NULL;
    held->plan.max_records = max_records;
    held->plan.allow_nan = allow_nan;
    held->keys = PyList_New(0);
    if (!held->keys || !add_node(held, &held->plan.root, tree, 1))
        Py_CLEAR(capsule);
    return capsule;
}

/* Give a column as (values, states, all states or'ed). */
static PyObject *column_of(const Scan *s, int column)
{
    const char *values = (const char *)s->values[column];
    const char *states = s->rows ? (const char *)s->states[column] : "";
    unsigned char seen = PRESENT;
    for (Py_ssize_t i = 0; i < s->rows; i++)
        seen |= states[i];
    Py_ssize_t width = s->plan->widths[column];
    return Py_BuildValue("Ny#B", PyByteArray_FromStringAndSize(values, s->rows * width), states,
                         s->rows, seen);
}

static PyObject *result_of(const Scan *s)
{
    PyObject *columns = PyList_New(s->plan->columns);
    for (int i = 0; columns && i < s->plan->columns; i++) {
        PyObject *column = column_of(s, i);
        if (column)
            PyList_SET_ITEM(columns, i, column);
        else
            Py_CLEAR(columns);
    }
    return columns ? Py_BuildValue("nNN", s->rows, PyBool_FromLong(s->bytes.high < 0x80), columns)
                   : NULL;
}

static PyObject *scan(PyObject *self, PyObject *arguments)
{
    PyObject *capsule, *document;
    if (!PyArg_ParseTuple(arguments, "OS:scan", &capsule, &document))
        return NULL;
    const HeldPlan *held = PyCapsule_GetPointer(capsule, "plan");
    if (!held)
        return NULL;
    Scan s = {.plan = &held->plan};
    At start = (At)PyBytes_AS_STRING(document);
    int accepted;
    s.document = start;
    s.bytes.end = start + PyBytes_GET_SIZE(document);
    Py_BEGIN_ALLOW_THREADS
    accepted = scan_document(&s, start);
    Py_END_ALLOW_THREADS
    PyObject *result = accepted ? result_of(&s) : Py_NewRef(Py_None);
    free_columns(&s);
    return result;
}

/* Take what each cell of a line is: the letters of `lines.py`. */
static int take_kinds(Lines *l, PyObject *kinds)
{
    if (PyBytes_GET_SIZE(kinds) < 1 || PyBytes_GET_SIZE(kinds) > MAX_CELLS)
        return no_plan(PyExc_ValueError, "expected 1 to 1024 cells");
    for (; l->cells < PyBytes_GET_SIZE(kinds); l->cells++) {
        unsigned char kind = l->kind[l->cells] = PyBytes_AS_STRING(kinds)[l->cells];
        if (kind != 'i' && kind != 'f')
            continue;
        if (l->plan.columns == MAX_COLUMNS)
            return no_plan(PyExc_ValueError, "too many columns");
        l->plan.widths[l->plan.columns] = PLACE_WIDTH;
        l->column[l->cells] = l->plan.columns++;
    }
    return 1;
}

static PyObject *scan_text(Lines *l, PyObject *text, Py_ssize_t start)
{
    At begin = (At)PyBytes_AS_STRING(text);
    int accepted;
    l->scan.plan = &l->plan;
    l->scan.bytes.end = begin + PyBytes_GET_SIZE(text);
    Py_BEGIN_ALLOW_THREADS
    accepted = scan_lines(l, begin + start);
    Py_END_ALLOW_THREADS
    PyObject *result = accepted ? result_of(&l->scan) : Py_NewRef(Py_None);
    free_columns(&l->scan);
    return result;
}

static PyObject *lines(PyObject *self, PyObject *arguments)
{
    PyObject *text, *kinds, *result = NULL;
    Py_ssize_t start;
    int delimiter, decimal;
    if (!PyArg_ParseTuple(arguments, "SnSCC:lines", &text, &start, &kinds, &delimiter, &decimal))
        return NULL;
    Lines *l = PyMem_Calloc(1, sizeof(Lines));
    if (!l)
        return PyErr_NoMemory();
    l->delimiter = delimiter;
    l->decimal = decimal;
    if (delimiter < 1 || delimiter > 127 || decimal < 1 || decimal > 127)
        no_plan(PyExc_ValueError, "expected ASCII characters");
    else if (start < 0 || start > PyBytes_GET_SIZE(text))
        no_plan(PyExc_ValueError, "expected a start within the text");
    else if (take_kinds(l, kinds))
        result = scan_text(l, text, start);
    PyMem_Free(l);
    return result;
}

static PyMethodDef METHODS[] = {
    {"lines", lines, METH_VARARGS,
     "lines(text, start, kinds, delimiter, decimal): (rows, ascii, columns), or None."},
    {"plan", make_plan, METH_VARARGS, "plan(tree, max_records, allow_nan): what to take, for `scan`."},
    {"scan", scan, METH_VARARGS, "scan(plan, document): (rows, ascii, columns), or None."},
    {0},
};

/* Of what `__init__.py` calls and gets: one that was built of older sources is left out. */
enum { VERSION = 3 };

static int add_version(PyObject *module)
{
    return PyModule_AddIntConstant(module, "VERSION", VERSION);
}

static struct PyModuleDef_Slot SLOTS[] = {{Py_mod_exec, add_version}, {0}};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_scan",
    .m_methods = METHODS,
    .m_slots = SLOTS,
};

PyMODINIT_FUNC PyInit__scan(void) { return PyModuleDef_Init(&MODULE); }
