/* The scan of `scan.h` for Python, without the GIL; `__init__.py` says what it is for. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "scan.h"

/* A plan and the tree it was made of, whose keys it points into. */
typedef struct {
    Plan plan;
    PyObject *tree;
} HeldPlan;

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
    Py_DECREF(held->tree);
    PyMem_Free(held);
}

static int add_members(Node *node, Py_ssize_t count)
{
    node->members = PyMem_Calloc(count, sizeof(Member));
    if (!node->members)
        return PyErr_NoMemory(), 0;
    node->count = (int)count;
    return 1;
}

static int add_leaf(Plan *plan, Node *node, PyObject *leaf)
{
    int kind;
    Py_ssize_t width;
    if (plan->columns == MAX_COLUMNS)
        return PyErr_SetString(PyExc_ValueError, "too many columns"), 0;
    if (!PyArg_ParseTuple(leaf, "Cn", &kind, &width))
        return 0;
    node->kind = kind == 'i' ? INT : kind == 'f' ? FLOAT : TEXT;
    plan->widths[plan->columns++] = width;
    return 1;
}

/* Build a node of its part of the tree: {key: node} is an object, [node] the list of records,
   ("i" | "f" | "t", width) a leaf. */
static int add_node(Plan *plan, Node *node, PyObject *tree, int outer)
{
    node->low = plan->columns;
    node->kind = OBJECT;
    node->outer = outer;
    if (PyDict_Check(tree)) {
        Py_ssize_t at = 0;
        PyObject *key, *below;
        plan->outers += outer;
        if (!add_members(node, PyDict_Size(tree)))
            return 0;
        for (Member *one = node->members; PyDict_Next(tree, &at, &key, &below); one++) {
            char *text;
            if (PyBytes_AsStringAndSize(key, &text, &one->length) < 0)
                return 0;
            one->key = text;
            if (!add_node(plan, &one->node, below, outer))
                return 0;
        }
    } else if (PyList_Check(tree) && PyList_GET_SIZE(tree) == 1 && outer &&
               PyDict_Check(PyList_GET_ITEM(tree, 0))) {
        node->kind = RECORDS;
        plan->outers++;
        if (!add_members(node, 1) ||
            !add_node(plan, &node->members[0].node, PyList_GET_ITEM(tree, 0), 0))
            return 0;
    } else if (!PyTuple_Check(tree) || outer) {
        return PyErr_SetString(PyExc_TypeError, "expected a dict, a list of one, or a leaf"), 0;
    } else if (!add_leaf(plan, node, tree)) {
        return 0;
    }
    node->high = plan->columns;
    return 1;
}

static PyObject *make_plan(PyObject *self, PyObject *arguments)
{
    PyObject *tree;
    Py_ssize_t max_records;
    if (!PyArg_ParseTuple(arguments, "On:plan", &tree, &max_records))
        return NULL;
    HeldPlan *held = PyMem_Calloc(1, sizeof(HeldPlan));
    if (!held)
        return PyErr_NoMemory();
    held->tree = Py_NewRef(tree);
    held->plan.max_records = max_records;
    PyObject *capsule = PyCapsule_New(held, "plan", free_plan);
    if (capsule && !add_node(&held->plan, &held->plan.root, tree, 1))
        Py_CLEAR(capsule);
    return capsule;
}

/* Give a column as (values, states); states are None where every value is present. */
static PyObject *column_of(const Scan *s, int column)
{
    const char *values = (const char *)s->values[column];
    const char *states = (const char *)s->states[column];
    unsigned char odd = PRESENT;
    for (Py_ssize_t i = 0; i < s->rows; i++)
        odd |= states[i];
    return Py_BuildValue(
        "NN", PyByteArray_FromStringAndSize(values, s->rows * s->plan->widths[column]),
        odd ? PyBytes_FromStringAndSize(states, s->rows) : Py_NewRef(Py_None));
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
    s.bytes.end = start + PyBytes_GET_SIZE(document);
    Py_BEGIN_ALLOW_THREADS
    accepted = scan_document(&s, start);
    Py_END_ALLOW_THREADS
    PyObject *result = accepted ? result_of(&s) : Py_NewRef(Py_None);
    free_columns(&s);
    return result;
}

static PyMethodDef METHODS[] = {
    {"plan", make_plan, METH_VARARGS, "plan(tree, max_records): what to take, for `scan`."},
    {"scan", scan, METH_VARARGS, "scan(plan, document): (rows, ascii, columns), or None."},
    {0},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_scan",
    .m_methods = METHODS,
};

PyMODINIT_FUNC PyInit__scan(void) { return PyModuleDef_Init(&MODULE); }
