/* The grouping of `groups.h`, and `scale.h`, for Python, without the GIL; `__init__.py` says what it is for. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "order.h"
#include "scale.h"

enum { FEW_ROWS = 4096 }; /* grouped sooner than another thread would give the GIL back */

/* What is asked for: groups, and the arrays they are made of. */
typedef struct {
    Groups groups;
    Py_ssize_t rows; /* of the first key; no other array has more or fewer */
    int arrays;
    Py_buffer array[2 * MAX_COLUMNS];
} Asked;

static int refuse(PyObject *error, const char *told)
{
    PyErr_SetString(error, told);
    return 0;
}

/* Take an array of int64, one for each row. */
static int take_array(Asked *asked, PyObject *from, const int64_t **values)
{
    Py_buffer *array = &asked->array[asked->arrays];
    if (PyObject_GetBuffer(from, array, PyBUF_ND | PyBUF_FORMAT) < 0)
        return 0;
    asked->arrays++;
    if (array->ndim != 1 || array->itemsize != sizeof(int64_t) || !array->format ||
        (strcmp(array->format, "l") && strcmp(array->format, "q")) ||
        (array->shape[0] && (uintptr_t)array->buf % _Alignof(int64_t)))
        return refuse(PyExc_TypeError, "expected arrays of int64 in one dimension");
    if (asked->rows < 0)
        asked->rows = array->shape[0];
    if (array->shape[0] != asked->rows)
        return refuse(PyExc_ValueError, "expected arrays of one length");
    *values = array->buf;
    return 1;
}

static int take_keys(Asked *asked, PyObject *keys)
{
    Groups *g = &asked->groups;
    Py_ssize_t count = PyTuple_GET_SIZE(keys);
    if (count < 1 || count > MAX_COLUMNS)
        return refuse(PyExc_ValueError, "expected 1 to 64 keys");
    for (; g->keys < count; g->keys++)
        if (!take_array(asked, PyTuple_GET_ITEM(keys, g->keys), &g->key[g->keys]))
            return 0;
    return 1;
}

/* Take what a column is to be: its rule's number, and its values or the one they all are. */
static int take_column(Asked *asked, PyObject *pair)
{
    Groups *g = &asked->groups;
    Column *c = &g->column[g->columns];
    PyObject *values;
    int rule;
    if (!PyTuple_Check(pair))
        return refuse(PyExc_TypeError, "expected (rule, values)");
    if (!PyArg_ParseTuple(pair, "iO", &rule, &values))
        return 0;
    if (rule < SUM || rule > DISTINCT)
        return refuse(PyExc_ValueError, "no such rule");
    if (rule == LOW && (!g->columns || c[-1].rule != HIGH))
        return refuse(PyExc_ValueError, "expected a high limb before the low one");
    c->rule = rule;
    g->columns++;
    if (!PyLong_Check(values))
        return take_array(asked, values, &c->values);
    c->constant = PyLong_AsLongLong(values);
    return !PyErr_Occurred();
}

static int take_columns(Asked *asked, PyObject *columns)
{
    Py_ssize_t count = PyTuple_GET_SIZE(columns);
    if (count > MAX_COLUMNS)
        return refuse(PyExc_ValueError, "expected at most 64 columns");
    for (Py_ssize_t i = 0; i < count; i++)
        if (!take_column(asked, PyTuple_GET_ITEM(columns, i)))
            return 0;
    return 1;
}

/* Give each result as a bytearray, and where to write it. */
static PyObject *room_for(const Groups *g, int64_t **results)
{
    PyObject *given = PyList_New(g->results);
    for (int r = 0; given && r < g->results; r++) {
        PyObject *one = PyByteArray_FromStringAndSize(NULL, sizeof(int64_t) * (Py_ssize_t)g->count);
        if (!one) {
            Py_CLEAR(given);
            break;
        }
        results[r] = (int64_t *)PyByteArray_AS_STRING(one);
        PyList_SET_ITEM(given, r, one);
    }
    return given;
}

static PyObject *grouped(Asked *asked, int ascending)
{
    Groups *g = &asked->groups;
    int64_t *results[MAX_CELLS];
    PyThreadState *others = asked->rows > FEW_ROWS ? PyEval_SaveThread() : NULL;
    Place *all = NULL, *places = group_rows(g, asked->rows) ? ordered(g, ascending, &all) : NULL;
    if (others)
        PyEval_RestoreThread(others);
    if (!places)
        Py_RETURN_NONE;
    PyObject *given = room_for(g, results);
    if (given) {
        others = asked->rows > FEW_ROWS ? PyEval_SaveThread() : NULL;
        write_results(g, places, results);
        if (others)
            PyEval_RestoreThread(others);
    }
    free(all);
    return given;
}

static PyObject *group(PyObject *self, PyObject *arguments)
{
    PyObject *keys, *columns, *given = NULL;
    int ascending;
    if (!PyArg_ParseTuple(arguments, "O!O!p:group", &PyTuple_Type, &keys, &PyTuple_Type, &columns,
                          &ascending))
        return NULL;
    Asked *asked = PyMem_Calloc(1, sizeof(Asked));
    if (!asked)
        return PyErr_NoMemory();
    asked->rows = -1;
    if (take_keys(asked, keys) && take_columns(asked, columns)) {
        if (asked->rows > MOST_ROWS || !begin(&asked->groups))
            given = Py_NewRef(Py_None);
        else
            given = grouped(asked, ascending);
        end(&asked->groups);
    }
    while (asked->arrays)
        PyBuffer_Release(&asked->array[--asked->arrays]);
    PyMem_Free(asked);
    return given;
}

static PyObject *scaled_of(const Py_buffer *values, double per_unit, double most)
{
    if (values->ndim != 1 || !values->format || strcmp(values->format, "d"))
        return refuse(PyExc_TypeError, "expected float64 in one dimension"), NULL;
    Py_ssize_t count = values->shape[0];
    PyObject *given = PyByteArray_FromStringAndSize(NULL, count * (Py_ssize_t)sizeof(int64_t));
    if (!given)
        return NULL;
    int64_t *to = (int64_t *)PyByteArray_AS_STRING(given);
    PyThreadState *others = count > FEW_ROWS ? PyEval_SaveThread() : NULL;
    int within = scale(values->buf, count, per_unit, most, to);
    if (others)
        PyEval_RestoreThread(others);
    if (within)
        return given;
    Py_DECREF(given);
    Py_RETURN_NONE;
}

static PyObject *scale_values(PyObject *self, PyObject *arguments)
{
    PyObject *from;
    double per_unit, most;
    Py_buffer values;
    if (!PyArg_ParseTuple(arguments, "Odd:scale", &from, &per_unit, &most) ||
        PyObject_GetBuffer(from, &values, PyBUF_ND | PyBUF_FORMAT) < 0)
        return NULL;
    PyObject *given = scaled_of(&values, per_unit, most);
    PyBuffer_Release(&values);
    return given;
}

static PyMethodDef METHODS[] = {
    {"scale", scale_values, METH_VARARGS, "scale(values, per_unit, most): whole numbers, or None."},
    {"group", group, METH_VARARGS, "group(keys, columns, ascending): the results, or None."},
    {0},
};

/* Of what `__init__.py` calls and gets: one that was built of older sources is left out. */
enum { VERSION = 2 };

static int add_version(PyObject *module)
{
    return PyModule_AddIntConstant(module, "VERSION", VERSION);
}

static struct PyModuleDef_Slot SLOTS[] = {{Py_mod_exec, add_version}, {0}};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_group",
    .m_methods = METHODS,
    .m_slots = SLOTS,
};

PyMODINIT_FUNC PyInit__group(void) { return PyModuleDef_Init(&MODULE); }
